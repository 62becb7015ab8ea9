/* SPDX-License-Identifier: Apache-2.0 */
/** Small networks for tests of placement: every tensor is named like the node that makes it. */
#ifndef TARE_TEST_QUANT_NET_H
#define TARE_TEST_QUANT_NET_H

#include "quant/setup.h"

typedef struct quant_net {
    tare_graph graph;
    tare_arena arena;
    tare_quantizer_setup setup;
    int constants; /* made so far, for their names */
} quant_net;

void quant_net_init(quant_net *net);
void quant_net_release(quant_net *net);

/** A graph input of float32, shape 1x8x8x8. */
tare_value *quant_net_input(quant_net *net, const char *name);

/** An initializer of float32 whose elements are 1, -1, 1, -1, ... */
tare_value *quant_net_constant(quant_net *net, int rank, const int64_t *dims);

/** A scalar initializer. */
tare_value *quant_net_scalar(quant_net *net);

/** A node with inputs ended by NULL; its output has shape 1x8x8x8 and type float32. */
tare_value *quant_net_op(quant_net *net, const char *name, const char *op_type, ...);

/** A convolution with 8 output channels and this many groups of the 8 input channels. */
tare_value *quant_net_conv(quant_net *net, const char *name, tare_value *input, int64_t group);

void quant_net_output(quant_net *net, tare_value *value);

/**
 * Places and describes the activation quantizers in order: the tensor, "*" when per channel, "?"
 * when asymmetric, "=N" for a group that shares a scale, and "(port of consumer, ...)". Weights
 * follow after "|": the consumer's name, "*" when per channel, "/2" when half range. The text is
 * static. A failure is described instead.
 */
const char *quant_net_describe(quant_net *net, const tare_placement_options *options);

#endif
