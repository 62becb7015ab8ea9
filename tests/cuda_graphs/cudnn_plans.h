/* SPDX-License-Identifier: Apache-2.0 */
/** Plans of cuDNN for a device that is not there but described. */
#ifndef TARE_TESTS_CUDNN_PLANS_H
#define TARE_TESTS_CUDNN_PLANS_H

#include <stddef.h>

#include "cuda/api.h"

/** How many convolutions got no plan, or one of another kind than expected: with their epilogues
 * where tare_conv_graph_is_ready() says so, else alone. 0, with a note, where cuDNN does not take
 * the description. */
size_t check_plans(const tare_cuda_api *api);

#endif
