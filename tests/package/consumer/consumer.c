/* SPDX-License-Identifier: Apache-2.0 */
/** A program outside the project: prints the library's version and fails to open a model. */
#include <stdio.h>
#include <string.h>
#include <tare.h>

int main(void) {
    tare_model *model = NULL;
    tare_error err;
    const tare_status status = tare_model_open(&model, "no-such-model.onnx", &err);
    if (status != TARE_NOT_FOUND || strstr(err.text, "no-such-model.onnx") == NULL) {
        return 1;
    }
    return printf("tare %s\n", tare_version()) > 0 ? 0 : 1;
}
