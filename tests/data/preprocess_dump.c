/* SPDX-License-Identifier: Apache-2.0 */
/** Runs a preprocessing on images and writes the tensors as .npy, for comparison with Pillow and
 * NumPy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "data/npy.h"
#include "data/preprocess.h"

/** Memory that all images of a run share, as a loading thread would. */
typedef struct state {
    tare_preprocess preprocess;
    tare_sample sample;
    tare_preprocess_scratch scratch;
    long repeats;
} state;

static tare_status run_image(state *with, const char *image, const char *output, tare_error *err) {
    tare_mapping file = {0};
    tare_status status;

    TARE_TRY(tare_mapping_open(&file, image, err));
    const tare_image_source source = {file.data, file.bytes, image};
    status =
        tare_preprocess_run_file(&with->sample, &with->preprocess, &source, &with->scratch, err);
    for (long i = 1; i < with->repeats && status == TARE_OK; i++) {
        status = tare_preprocess_run_file(&with->sample, &with->preprocess, &source, &with->scratch,
                                          err);
    }
    tare_mapping_release(&file);
    if (status != TARE_OK) {
        return status;
    }
    return strcmp(output, "-") == 0 ? TARE_OK
                                    : tare_npy_write(output, &with->sample.inputs[0], err);
}

/* Lines "IMAGE<tab>OUTPUT"; an image that fails is reported on stdout as "IMAGE<tab>reason" and the
 * run goes on. */
static int run_list(state *with, FILE *list) {
    char line[4096];

    while (fgets(line, sizeof line, list) != NULL) {
        tare_error err = {0};
        char *tab = strchr(line, '\t');
        line[strcspn(line, "\n")] = '\0';
        if (tab == NULL) {
            (void)fprintf(stderr, "a line without a tab: %s\n", line);
            return 2;
        }
        *tab = '\0';
        if (run_image(with, line, tab + 1, &err) != TARE_OK) {
            (void)printf("%s\t%s\n", line, err.text);
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    state with = {.repeats = argc > 2 ? strtol(argv[2], NULL, 10) : 1};
    tare_error err = {0};
    tare_text text = {0};
    struct timespec begin, end;
    int code = 1;

    if (argc < 2 || argc > 3) {
        (void)fprintf(stderr, "usage: preprocess_dump PRESET|FILE.json [REPEATS] <LIST\n"
                              "LIST has lines IMAGE<tab>OUTPUT.npy; OUTPUT - writes nothing\n");
        return 2;
    }
    if (tare_preprocess_load(&with.preprocess, argv[1], &err) != TARE_OK ||
        tare_preprocess_complete(&with.preprocess, 0, 0, 0, TARE_PIXEL_LAYOUT_UNSET, &err) !=
            TARE_OK ||
        tare_preprocess_write(&text, &with.preprocess, &err) != TARE_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        goto done;
    }
    (void)fprintf(stderr, "%s\n", text.data);
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    code = run_list(&with, stdin);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    (void)fprintf(stderr, "%.3f s\n",
                  (double)(end.tv_sec - begin.tv_sec) +
                      (double)(end.tv_nsec - begin.tv_nsec) * 1e-9);
done:
    tare_text_release(&text);
    tare_sample_release(&with.sample);
    tare_preprocess_scratch_release(&with.scratch);
    return code;
}
