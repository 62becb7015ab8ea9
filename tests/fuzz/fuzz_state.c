/* SPDX-License-Identifier: Apache-2.0 */
/** Fuzz target of the reader of calibration states: whatever loads can be merged, and is written as
 * bytes that load as the same state. Checksums are set right first, or nothing would ever get past
 * them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stats/safetensors.h"
#include "stats/state_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *what, const tare_error *err) {
    if (!holds) {
        (void)fprintf(stderr, "%s: %s\n", what, err->text);
        abort();
    }
}

static void use(tare_state_file *file) {
    char path[] = "/tmp/tare-fuzz-XXXXXX";
    tare_state_file again = {0};
    tare_error err = {0};
    const int descriptor = mkstemp(path);

    require(descriptor >= 0 && close(descriptor) == 0, "no temporary file", &err);
    require(tare_state_write(path, file->state, &file->identity, &err) == TARE_OK,
            "a state that loads is not written", &err);
    require(tare_state_read(&again, path, &err) == TARE_OK, "a written state does not load", &err);
    require(tare_state_identity_check(&again.identity, &file->identity, &err) == TARE_OK,
            "a written state is of something else", &err);
    require(tare_state_absorb(again.state, file->state, true, &err) == TARE_OK,
            "a state does not merge with itself", &err);
    require(tare_state_sample_count(again.state) == 2 * tare_state_sample_count(file->state),
            "samples are lost", &err);
    tare_state_file_release(&again);
    (void)unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    unsigned char *copy = malloc(size + 1);
    tare_state_file file = {0};
    tare_error err = {0};

    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, size);
    tare_safetensors_seal(copy, size);
    if (tare_state_read_memory(&file, copy, size, &err) == TARE_OK) {
        use(&file);
    } else {
        require(err.code != TARE_OK && err.text[0] != '\0', "an error without a text", &err);
    }
    tare_state_file_release(&file);
    free(copy);
    return 0;
}
