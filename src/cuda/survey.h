/* SPDX-License-Identifier: Apache-2.0 */
/** Whether CUDA can be used on this machine, part by part. */
#ifndef TARE_CUDA_SURVEY_H
#define TARE_CUDA_SURVEY_H

#include "cuda/api.h"
#include "exec/device.h"

/** The least compute capability that the kernels are compiled for. */
#define TARE_CUDA_LEAST_CAPABILITY 80

/** Fills in all entry points that there are, and what was found and what is missing. Libraries are
 * not looked for when there is no device that could use them, unless `whole`. */
void tare_cuda_survey_api(tare_device_survey *out, tare_cuda_api *api, bool whole);

/** `survey` of tare_device_functions. */
void tare_cuda_survey(tare_device_survey *out, bool whole);

/** Whether device `index` can be used: TARE_NOT_FOUND with the first part that is missing. */
TARE_MUST_CHECK tare_status tare_cuda_survey_check(const tare_device_survey *survey, int index,
                                                   tare_error *err);

#endif
