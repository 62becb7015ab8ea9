/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a backend is: a table of kernels, memory, and the reductions that statistics need.
 *
 * A kernel is prepared once per node of a plan (weights repacked, primitives created) and then run
 * once per inference, by several threads at the same time on different data: what prepare leaves
 * behind is read-only for run.
 */
#ifndef TARE_EXEC_BACKEND_H
#define TARE_EXEC_BACKEND_H

#include "exec/code_find.h"
#include "exec/quantile.h"
#include "exec/reduce.h"
#include "ir/graph.h"

/** An opened device, and a queue of work for it; only backends with a memory of their own have them
 * (exec/device.h). */
typedef struct tare_device tare_device;
typedef struct tare_queue tare_queue;

/** How the elements of a value lie in memory. dims are always in ONNX's order. */
typedef enum tare_layout {
    TARE_LAYOUT_PLAIN,        /**< row-major in the order of dims */
    TARE_LAYOUT_CHANNELS_LAST /**< ranks 3 to 5: axis 1 is the innermost, the others keep their
                                 order */
} tare_layout;

/** Type, shape and layout of one operand. Dense: no gaps. */
typedef struct tare_desc {
    tare_dtype dtype;
    int rank;
    int64_t dims[TARE_MAX_RANK];
    tare_layout layout;
} tare_desc;

/** Elements and bytes of an operand (shapes in a plan are concrete and small enough). */
int64_t tare_desc_count(const tare_desc *desc);
size_t tare_desc_bytes(const tare_desc *desc);

/** The distance in elements between neighbours on each ONNX axis. */
void tare_desc_strides(int64_t *strides, const tare_desc *desc);

/** Which layouts a kernel wants; the planner puts reorder steps where they do not hold. */
typedef enum tare_layout_rule {
    TARE_LAYOUT_RULE_PLAIN,  /**< all operands plain */
    TARE_LAYOUT_RULE_LAST,   /**< non-constant inputs of rank 3 to 5 and all outputs of these ranks
                                channels-last */
    TARE_LAYOUT_RULE_FOLLOW, /**< inputs in any layout, mixed too; outputs of the rank of an input
                                that is channels-last are channels-last, else plain */
    TARE_LAYOUT_RULE_ANY     /**< inputs in any layout, outputs plain */
} tare_layout_rule;

/** Operations a kernel may apply to its result before storing it. */
typedef enum tare_epilogue_kind {
    TARE_EPILOGUE_CLIP,       /**< min(max(x, a), b); Relu is a = 0, b = +inf */
    TARE_EPILOGUE_LEAKY_RELU, /**< x < 0 ? a x : x */
    TARE_EPILOGUE_SIGMOID,
    TARE_EPILOGUE_TANH,
    TARE_EPILOGUE_SWISH,        /**< x sigmoid(x) */
    TARE_EPILOGUE_HARD_SIGMOID, /**< min(max(a x + b, 0), 1) */
    TARE_EPILOGUE_HARD_SWISH,   /**< x min(max(a x + b, 0), 1) */
    TARE_EPILOGUE_ADD           /**< x + y, y an extra input of the output's shape and layout */
} tare_epilogue_kind;

typedef struct tare_epilogue {
    tare_epilogue_kind kind;
    float a, b;
} tare_epilogue;

#define TARE_MAX_EPILOGUES 4

/** What prepare gets and fills. */
typedef struct tare_prepare {
    tare_device *device;   /**< NULL when the backend computes in host memory */
    const tare_node *node; /**< for messages */
    const void *attrs;     /**< the operator's typed attributes (ops/attrs.h) */
    size_t input_count;
    const tare_desc *inputs; /**< rank -1: this optional input is left out */
    const tare_tensor *const
        *constants; /**< per input: its contents when they are constant, else NULL */
    size_t output_count;
    const tare_desc *outputs; /**< rank -1: this output is not wanted */
    size_t epilogue_count;    /**< 0 unless the kernel's row says it takes epilogues */
    const tare_epilogue *epilogues;
    void *private_data;   /**< the row's private_size bytes, zeroed */
    size_t scratch_bytes; /**< out: scratch memory that run needs, aligned to 64 */
    size_t weight_bytes; /**< out: memory that prepare allocated (packed weights), for the report */
    uint64_t unread;     /**< out: bit i: run does not look at input i, a constant that prepare has
                            taken over. On a device such a constant is not uploaded */
} tare_prepare;

/** What run gets. Pointers are NULL for operands that are left out. */
typedef struct tare_run {
    tare_queue *queue; /**< where the work goes; NULL: it is done when run returns */
    const void *private_data;
    const void *const *inputs; /**< the node's inputs (constants too), then one per ADD epilogue */
    void *const *outputs;
    void *scratch;
} tare_run;

/** A kernel row. */
typedef struct tare_kernel {
    const char *name; /**< of the operator, or of another kernel name of the operator table */
    size_t private_size;
    tare_layout_rule layout;
    bool takes_epilogues; /**< prepare looks at epilogues; it may still answer TARE_UNSUPPORTED for
                             some */
    bool in_place; /**< an output may share memory with a non-constant input of the same size, type
                      and layout */
    bool view;     /**< outputs[0] is inputs[0] under another shape; never run */
    /** TARE_UNSUPPORTED: this kernel cannot do these operands; the planner tries the next row of
     * that name, then fails. NULL: nothing to prepare. */
    tare_status (*prepare)(tare_prepare *prepare, tare_error *err);
    tare_status (*run)(const tare_run *run, tare_error *err);
    void (*release)(void *private_data); /**< NULL allowed; called also after a failed prepare */
    /** NULL allowed. What prepare is probably going to be asked for (private_data is NULL), said of
     * all nodes before the first one is prepared: starts what takes long on other threads. */
    void (*announce)(const tare_prepare *prepare);
} tare_kernel;

/** What one sample of one value is reduced to. Only finite elements enter min and max. */
typedef struct tare_reduce_record {
    float min, max; /**< +inf, -inf when there is no finite element; zeros are +0 */
    uint64_t elements, zeros, nan, positive_infinity, negative_infinity;
} tare_reduce_record;

/** Window of a convolution over a value of rank 3 or 4 whose window sums are wanted, for bias
 * correction. Rows before columns; with rank 3 the one row is at [0]. */
typedef struct tare_collect_window {
    int64_t kernel[2], stride[2], dilation[2], padding[2]; /**< padding: before */
    int64_t output[2];
} tare_collect_window;

/** What to reduce: one sample, a float32 operand. exec/reduce.h says what the results are.
 * Quantiles and mean mean nothing where there are no elements, NaN or infinities. */
typedef struct tare_reduce_request {
    const tare_desc *desc;
    const void *data;
    tare_reduce_channel *channels; /**< out: dims[axis] of them; NULL: not wanted */
    int axis;                      /**< of the channels */
    const tare_collect_window *windows;
    size_t window_count;
    float *const *window_sums;       /**< out: per window [dims[0]][kernel 0][kernel 1][dims[1]] */
    double quantile;                 /**< p: quantiles of p and 1 - p; 0 to 0.5 */
    tare_quantile_pairs *quantiles;  /**< out: of the values; NULL: not wanted */
    tare_quantile_pairs *magnitudes; /**< out: of the magnitudes; NULL: not wanted */
    float *quantile_scratch;         /**< TARE_QUANTILE_SCRATCH numbers, where either is wanted */
    float *mean; /**< out, rounded once from a sum in double; NULL: not wanted */
} tare_reduce_request;

/** Numbers of working memory for quantiles. */
#define TARE_QUANTILE_SCRATCH 65536

/** The rows of one family of kernels. The file that implements them defines one such const object,
 * and the backend lists their addresses (a count in another file is no constant for C). */
typedef struct tare_kernel_table {
    const tare_kernel *rows;
    size_t count;
} tare_kernel_table;

/** A backend. Const tables only. */
typedef struct tare_backend {
    const char *name;
    /** Families in order of preference: of several rows with one name the planner takes the first
     * whose prepare can do the operands. */
    const tare_kernel_table *const *tables;
    size_t table_count;
    /** One line on what it runs on, for `tare devices`; NULL: nothing to say. */
    const char *(*describe)(void);
    /** Called by each thread that is going to prepare or run kernels. */
    void (*thread_begin)(int threads_per_run);
    /** Reduces one operand behind the kernel that produced it. */
    tare_status (*reduce)(tare_reduce_record *out, const tare_reduce_request *request,
                          tare_error *err);
    /** Finds the counters of a code histogram for values in host memory; NULL: tare_code_find(). */
    tare_code_finder find_codes;
    /** NULL: it computes in host memory. */
    const struct tare_device_functions *device;
} tare_backend;

/** Row number `nth` (from 0, in order of preference) among the rows called `name`, or NULL. */
const tare_kernel *tare_backend_kernel(const tare_backend *backend, const char *name, size_t nth);

#endif
