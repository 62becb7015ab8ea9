/* SPDX-License-Identifier: Apache-2.0 */
/** The insides of the public handle tare_dataset. */
#ifndef TARE_DATASET_H
#define TARE_DATASET_H

#include "data/source.h"

struct tare_dataset {
    char *path; /**< NULL for a function */
    bool has_preprocess;
    tare_preprocess preprocess; /**< not yet completed for a model */
    tare_function_data function;
    uint64_t count;
};

/** The kinds of data a path may be. */
tare_source_list tare_dataset_kinds(const tare_dataset *dataset);

#endif
