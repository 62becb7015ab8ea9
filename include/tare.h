/* SPDX-License-Identifier: Apache-2.0 */
/** Tare: calibrate and quantize neural networks after training. The only public header. */
#ifndef TARE_H
#define TARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(TARE_BUILDING) && defined(__GNUC__)
#define TARE_API __attribute__((visibility("default")))
#else
#define TARE_API
#endif

#if defined(__GNUC__)
#define TARE_MUST_CHECK        __attribute__((warn_unused_result))
#define TARE_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define TARE_MUST_CHECK
#define TARE_PRINTF(fmt, args)
#endif

/** What became of a call. Zero is success; every other value comes with a text in tare_error. */
typedef enum tare_status {
    TARE_OK = 0,
    TARE_INVALID_ARGUMENT, /**< the caller passed something that cannot be meant */
    TARE_INVALID_MODEL,    /**< the model file is damaged or breaks the ONNX specification */
    TARE_UNSUPPORTED,      /**< legal, but Tare cannot do it exactly, so it does not do it */
    TARE_NOT_FOUND,        /**< a file, tensor, name or device is not there */
    TARE_IO,               /**< reading or writing failed */
    TARE_OUT_OF_MEMORY,    /**< an allocation failed or a stated memory limit is exceeded */
    TARE_BACKEND,          /**< a library or device underneath reported a failure */
    TARE_CANCELLED,        /**< the caller's progress callback asked to stop */
    TARE_INTERNAL          /**< a bug in Tare */
} tare_status;

#define TARE_ERROR_TEXT_BYTES 512

/**
 * A caller-owned error. Functions that can fail take a pointer to one as their last parameter (NULL
 * allowed) and write it only when they fail; no allocation is involved, so running out of memory
 * can be reported too.
 */
typedef struct tare_error {
    tare_status code;
    char text[TARE_ERROR_TEXT_BYTES]; /**< one line without a line break, NUL-terminated */
} tare_error;

/** The name of a status, such as "invalid model". Never NULL. */
TARE_API const char *tare_status_name(tare_status status);

/** The version of the library, "0.1.0". */
TARE_API const char *tare_version(void);

/* -------------------------------------------------------------------------------------------
 * arrays ---- */

#define TARE_ARRAY_MAX_RANK 8

/** Element types with ONNX's numbers. */
typedef enum tare_element {
    TARE_FLOAT32 = 1,
    TARE_UINT8 = 2,
    TARE_INT8 = 3,
    TARE_UINT16 = 4,
    TARE_INT16 = 5,
    TARE_INT32 = 6,
    TARE_INT64 = 7,
    TARE_BOOL = 9,
    TARE_FLOAT16 = 10,
    TARE_FLOAT64 = 11,
    TARE_UINT32 = 12,
    TARE_UINT64 = 13
} tare_element;

/** A dense row-major array that somebody else owns. */
typedef struct tare_array_view {
    const char *name; /**< of the model's input or output; NULL: the only one */
    tare_element element;
    int rank;
    int64_t dims[TARE_ARRAY_MAX_RANK];
    const void *data;
} tare_array_view;

/* -------------------------------------------------------------------------------------------
 * models ---- */

/** A model read from an ONNX file. Immutable; may be used by several threads at once. */
typedef struct tare_model tare_model;

/**
 * Reads an ONNX model (opset 7 to 22; weights in external files are mapped).
 * Errors: TARE_NOT_FOUND, TARE_IO, TARE_INVALID_MODEL, TARE_OUT_OF_MEMORY. The caller frees with
 * tare_model_free().
 */
TARE_API TARE_MUST_CHECK tare_status tare_model_open(tare_model **out, const char *path,
                                                     tare_error *err);

/** Frees a model. NULL allowed. */
TARE_API void tare_model_free(tare_model *model);

/**
 * Writes the model as it is, complete or not at all. Models that would exceed 2 GB get their
 * weights in one file beside it, named like it plus ".data". Errors: TARE_IO, TARE_OUT_OF_MEMORY.
 */
TARE_API TARE_MUST_CHECK tare_status tare_model_save(const tare_model *model, const char *path,
                                                     tare_error *err);

/** Number of inputs that must be fed (initializers are not counted), and their names in the order
 * of the file. */
TARE_API size_t tare_model_input_count(const tare_model *model);
TARE_API const char *tare_model_input_name(const tare_model *model, size_t index);

/** Number of outputs, and their names in the order of the file. */
TARE_API size_t tare_model_output_count(const tare_model *model);
TARE_API const char *tare_model_output_name(const tare_model *model, size_t index);

/* ------------------------------------------------------------------------------------- calibration
 * data ---- */

/** A set of samples. Immutable; samples are loaded by several threads at once. */
typedef struct tare_dataset tare_dataset;

/**
 * Opens calibration data at `path`: a folder of images (JPEG, PNG, BMP, WebP; recursive, sorted by
 * name), one image, an .npy file (axis 0 counts samples) or an .npz file (one array per model
 * input, equal axis 0).
 *
 * preprocess: how pixels become the model's input: a preset's name (imagenet, imagenet-tf, unit,
 * raw), the path of a JSON description (docs/data.md), or NULL: for images `unit` at the model's
 * size, for arrays nothing. Errors: TARE_NOT_FOUND, TARE_IO, TARE_INVALID_ARGUMENT (a description's
 * unknown or contradictory field, named).
 */
TARE_API TARE_MUST_CHECK tare_status tare_dataset_open(tare_dataset **out, const char *path,
                                                       const char *preprocess, tare_error *err);

/** Receives one sample inside a tare_sample_function. */
typedef struct tare_sample_sink tare_sample_sink;

/**
 * Gives the sink one model input; the data are copied. The leading dim is the batch and is
 * normally 1. Errors: TARE_INVALID_ARGUMENT, TARE_OUT_OF_MEMORY; return them from the function.
 */
TARE_API TARE_MUST_CHECK tare_status tare_sample_add(tare_sample_sink *sink,
                                                     const tare_array_view *input, tare_error *err);

/** Makes sample `index` (0 <= index < count) and gives every model input to the sink. Called from
 * several threads at once unless the options say one thread. */
typedef tare_status (*tare_sample_function)(void *user, uint64_t index, tare_sample_sink *sink,
                                            tare_error *err);

/** A dataset whose samples a function makes (any source with any transformation). `user` must
 * outlive the dataset. */
TARE_API TARE_MUST_CHECK tare_status tare_dataset_from_function(tare_dataset **out, uint64_t count,
                                                                tare_sample_function function,
                                                                void *user, tare_error *err);

/** The number of samples. */
TARE_API uint64_t tare_dataset_count(const tare_dataset *dataset);

/** Frees a dataset. NULL allowed. */
TARE_API void tare_dataset_free(tare_dataset *dataset);

/* ---------------------------------------------------------------------------------------------
 * reports ---- */

/** What a call did or found: as text for people and as JSON for programs. */
typedef struct tare_report tare_report;

/** Several lines of text, ended by a line break. Owned by the report. */
TARE_API const char *tare_report_text(const tare_report *report);

/** The same facts as a JSON object. Owned by the report. */
TARE_API const char *tare_report_json(const tare_report *report);

/** Frees a report. NULL allowed. */
TARE_API void tare_report_free(tare_report *report);

/* ---------------------------------------------------------------------------------------------
 * running ---- */

/** How far a call has come. */
typedef struct tare_progress {
    const char *stage; /**< "calibrate", "run", ... */
    uint64_t done, total;
    double seconds; /**< since the stage began */
} tare_progress;

/** Called at most about ten times a second, from one thread at a time. Return false to stop: the
 * call fails with TARE_CANCELLED. */
typedef bool (*tare_progress_function)(void *user, const tare_progress *progress);

/** How much a note matters. */
typedef enum tare_note_level {
    TARE_NOTE_INFO,   /**< what is being done: the memory plan, a raised opset, a fall-back */
    TARE_NOTE_WARNING /**< what the caller may not want: a skipped sample */
} tare_note_level;

/** Called with one line of text, without a line break, for what is worth telling and is no error.
 */
typedef void (*tare_note_function)(void *user, tare_note_level level, const char *line);

/** What all calls that execute a model share. Initialise with tare_run_options_init(). */
typedef struct tare_run_options {
    const char *device;    /**< "auto" (default): the first CUDA device if there is one that can be
                              used, else the CPU with a note that says why; "cpu"; "cuda" or
                              "cuda:1": that device, or TARE_NOT_FOUND with what is missing */
    const char *precision; /**< of a CUDA device: "fp32", "tf32" (products round their operands),
                              "fp16" (stored so, accumulated in float32); "auto" (default): tf32. A
                              hint: the CPU computes in float32 */
    bool tune;             /**< a CUDA device measures the ways of doing a convolution before the
                              first sample, instead of trusting cuDNN's estimate. A hint */
    uint64_t batch; /**< samples that a CUDA device runs at once; 0 (default): chosen by memory.
                       A hint: the CPU runs one per thread. Statistics are taken per sample; only
                       the last bits of what cuDNN computes may differ between batches */
    int threads;    /**< worker threads; 0 (default): as many as the process may use */
    uint64_t memory_bytes;         /**< refuse before the first sample when the plan needs more of
                                      the host's memory, or of the device's; 0 (default): no limit */
    const tare_array_view *shapes; /**< shapes for inputs whose dims the model leaves open: name,
                                      rank, dims; data NULL */
    size_t shape_count;
    bool skip_bad; /**< samples that cannot be loaded are skipped, noted and counted instead of
                      failing the call */
    tare_progress_function progress; /**< NULL: none */
    tare_note_function note;         /**< NULL: none */
    void *user;                      /**< passed to the functions */
} tare_run_options;

/** Fills in the defaults. */
TARE_API void tare_run_options_init(tare_run_options *options);

/** One inference: arrays in, arrays out. Outputs live until the outcome is freed. */
typedef struct tare_outcome tare_outcome;

/**
 * Runs the model once on whole arrays (the leading dim is whatever the arrays say).
 * Errors: TARE_INVALID_ARGUMENT (input missing, unknown or of the wrong type or shape; names
 * expected and actual), TARE_UNSUPPORTED (operator, type or shape, named), TARE_OUT_OF_MEMORY,
 * TARE_NOT_FOUND (device).
 */
TARE_API TARE_MUST_CHECK tare_status tare_model_run(tare_outcome **out, const tare_model *model,
                                                    const tare_array_view *inputs,
                                                    size_t input_count,
                                                    const tare_run_options *options,
                                                    tare_error *err);

/** Runs the model on every sample of a dataset and joins each output along its first dim in the
 * order of the samples. Errors as tare_model_run(), and those of loading samples. */
TARE_API TARE_MUST_CHECK tare_status tare_model_run_dataset(tare_outcome **out,
                                                            const tare_model *model,
                                                            const tare_dataset *dataset,
                                                            const tare_run_options *options,
                                                            tare_error *err);

/** Number of outputs, and output `index` with its name. */
TARE_API size_t tare_outcome_count(const tare_outcome *outcome);
TARE_API tare_array_view tare_outcome_get(const tare_outcome *outcome, size_t index);

/** Frees an outcome. NULL allowed. */
TARE_API void tare_outcome_free(tare_outcome *outcome);

/** Arrays read from an .npy file (one, without a name) or an .npz file (named). */
typedef struct tare_arrays tare_arrays;
TARE_API TARE_MUST_CHECK tare_status tare_arrays_read(tare_arrays **out, const char *path,
                                                      tare_error *err);
TARE_API size_t tare_arrays_count(const tare_arrays *arrays);
TARE_API tare_array_view tare_arrays_get(const tare_arrays *arrays, size_t index);
TARE_API void tare_arrays_free(tare_arrays *arrays);

/** Writes arrays: to a path ending in .npy exactly one, else an .npz archive with one member per
 * name. Complete or not at all. */
TARE_API TARE_MUST_CHECK tare_status tare_arrays_write(const char *path,
                                                       const tare_array_view *arrays, size_t count,
                                                       tare_error *err);

/* -----------------------------------------------------------------------------------------
 * quantizing ---- */

/** Which schemes quantizers use. */
typedef enum tare_preset {
    TARE_PRESET_DEFAULT = 0, /**< performance; mixed for transformers */
    TARE_PRESET_PERFORMANCE, /**< symmetric weights and activations */
    TARE_PRESET_MIXED        /**< symmetric weights, asymmetric activations */
} tare_preset;

typedef enum tare_model_type {
    TARE_MODEL_GENERIC = 0,
    TARE_MODEL_TRANSFORMER /**< keeps the operators float that hurt transformers' accuracy and set
                              attention up accordingly */
} tare_model_type;

/** Initialise with tare_quantize_options_init(). */
typedef struct tare_quantize_options {
    tare_run_options run;
    uint64_t samples; /**< how many samples to use at most, the first ones; default 300 */
    tare_preset preset;
    tare_model_type model_type;
    const char *target; /**< "openvino" (default) */
    const char *method; /**< how ranges are chosen, such as "minmax" or "percentile=99.9"
                           (docs/methods.md); NULL (default): minmax */
    const char *const
        *ignored_names; /**< nodes that stay float, by exact name; every name must match */
    size_t ignored_name_count;
    const char *const
        *ignored_types; /**< operators that stay float, such as "Gemm"; every type must occur */
    size_t ignored_type_count;
    const char *const *ignored_patterns; /**< extended regular expressions, matched from the start
                                            of node names; each must match */
    size_t ignored_pattern_count;
} tare_quantize_options;

/** Fills in the defaults. */
TARE_API void tare_quantize_options_init(tare_quantize_options *options);

/**
 * Calibrates `model` on `dataset` and writes the quantized (QuantizeLinear/DequantizeLinear) model
 * to `path`, complete or not at all. Placement, statistics and parameters follow NNCF's MinMax
 * algorithm (docs/quantize.md); models below opset 13 are raised to it, because per-channel scales
 * need it.
 *
 * report: NULL, or receives what was done; the caller frees it. Errors: those of
 * tare_model_run_dataset(); TARE_INVALID_ARGUMENT for NaN in a sample or tensor (both named), for
 * an empty dataset and for options that match nothing; TARE_IO.
 */
TARE_API TARE_MUST_CHECK tare_status tare_quantize(const tare_model *model,
                                                   const tare_dataset *dataset, const char *path,
                                                   const tare_quantize_options *options,
                                                   tare_report **report, tare_error *err);

/* -------------------------------------------------------------------------------------
 * calibration states ---- */

/** Initialise with tare_calibrate_options_init(). */
typedef struct tare_calibrate_options {
    tare_run_options run;
    uint64_t samples; /**< how many samples to use at most, the first ones; 0 (default): all */
    uint64_t shard, shards; /**< use every shards-th sample, from the shard-th (counted from 1) on;
                               default 1 of 1 */
    bool resume; /**< go on where an earlier run stopped: from its checkpoint or, without one, from
                    the finished state at the path, to which new samples are added */
    double checkpoint_seconds;        /**< time between checkpoints; default 30; 0: none */
    const char *collect;              /**< what to collect: "all" (default) for every method and for
                                         corrections of biases, or names separated by commas:
                                         ranges (which are always there), codes (histograms, which most
                                         methods need), quantiles, magnitudes and means (of each sample,
                                         which some of NNCF's estimators need; the last two are not part
                                         of all), sums and windows (for biases) */
    double quantile;                  /**< p: quantiles are those of p and 1 - p; default 0.0001 */
    const char *target;               /**< "openvino" (default) */
    const char *const *ignored_names; /**< as in tare_quantize_options; tensors are watched for
                                         quantizing with and without them */
    size_t ignored_name_count;
    const char *const *ignored_types;
    size_t ignored_type_count;
    const char *const *ignored_patterns;
    size_t ignored_pattern_count;
} tare_calibrate_options;

/** Fills in the defaults. */
TARE_API void tare_calibrate_options_init(tare_calibrate_options *options);

/**
 * Runs `model` on `dataset` and writes the calibration state (docs/state-format.md) to `path`,
 * complete or not at all. The state serves every preset, model type and method, and its bytes do
 * not depend on how the work was split: over threads, restarts, or shards that are merged.
 *
 * Checkpoints go to `path` plus ".partial", which is removed at the end; it stays when the run is
 * cancelled, and holds every sample that was finished. A checkpoint that cannot be written is
 * noted and does not end the run.
 *
 * report: NULL, or receives what was done; the caller frees it. Errors: those of tare_quantize();
 * TARE_INVALID_ARGUMENT when there is a checkpoint that resume does not ask for, or one of another
 * model, preprocessing or data, with the difference.
 */
TARE_API TARE_MUST_CHECK tare_status tare_calibrate(const tare_model *model,
                                                    const tare_dataset *dataset, const char *path,
                                                    const tare_calibrate_options *options,
                                                    tare_report **report, tare_error *err);

/**
 * Merges calibration states into one, as if all their samples had been in one run. A sample that is
 * in several of them is an error that names it, or, with allow_duplicates, counts each time.
 * report: NULL, or receives what was done; the caller frees it. Errors: those of reading states;
 * TARE_INVALID_ARGUMENT, with the difference, for states that do not go together.
 */
TARE_API TARE_MUST_CHECK tare_status tare_merge(const char *const *paths, size_t count,
                                                const char *path, bool allow_duplicates,
                                                tare_report **report, tare_error *err);

/**
 * As tare_quantize() from a calibration state instead of data; options->samples and what concerns
 * running play no part. Errors: those of tare_quantize() and of reading states;
 * TARE_INVALID_ARGUMENT when the state is of another model or lacks what the options ask for.
 */
TARE_API TARE_MUST_CHECK tare_status tare_quantize_state(const tare_model *model,
                                                         const char *state_path, const char *path,
                                                         const tare_quantize_options *options,
                                                         tare_report **report, tare_error *err);

/**
 * Describes a calibration state: what it is of, samples, tensors. Errors: TARE_NOT_FOUND, TARE_IO,
 * TARE_INVALID_ARGUMENT when it is something else, cut off or damaged; TARE_UNSUPPORTED for another
 * version of the format.
 */
TARE_API TARE_MUST_CHECK tare_status tare_describe_state(tare_report **report, const char *path,
                                                         tare_error *err);

/* ------------------------------------------------------------------------------------------
 * inspecting ---- */

/**
 * Describes a model: inputs and outputs, operators and whether each backend has them, where
 * quantizers would go, the memory plan. Works also for models with unsupported operators (they are
 * listed). Dims the model leaves open are taken from options->run.shapes, else an open leading dim
 * counts as 1 and the plan is left out, with the reason, for others.
 */
TARE_API TARE_MUST_CHECK tare_status tare_inspect(tare_report **report, const tare_model *model,
                                                  const tare_quantize_options *options,
                                                  tare_error *err);

/** Initialise with tare_bench_options_init(). */
typedef struct tare_bench_options {
    tare_run_options run;
    double seconds; /**< how long each side is measured; default 3. At least three repetitions are
                       made, however long they take */
    const char *method;  /**< whose statistics are taken, as tare_quantize() takes them; NULL
                            (default): minmax */
    const char *collect; /**< instead of a method: what tare_calibrate() takes with its option of
                            this name, such as "ranges" or "all"; NULL (default) */
    const char *target;  /**< "openvino" (default) */
    bool layers;         /**< time each step of the plans, too */
} tare_bench_options;

/** Fills in the defaults. */
TARE_API void tare_bench_options_init(tare_bench_options *options);

/**
 * Measures how fast the model runs with and without taking the statistics of a calibration, in
 * turns, and reports samples per second of both and their ratio with spreads, memory, and the parts
 * of the start (docs/bench.md).
 *
 * dataset: its first samples are kept in memory and run again and again; NULL: samples are made up,
 * for which dims that the model leaves open come from options->run.shapes, else an open leading dim
 * counts as 1. Errors: those of tare_calibrate(); TARE_OUT_OF_MEMORY when both sides do not fit at
 * once.
 */
TARE_API TARE_MUST_CHECK tare_status tare_bench(tare_report **report, const tare_model *model,
                                                const tare_dataset *dataset,
                                                const tare_bench_options *options, tare_error *err);

/** What can be used to run models, and why not where something is missing. */
TARE_API TARE_MUST_CHECK tare_status tare_devices(tare_report **report, tare_error *err);

#ifdef __cplusplus
}
#endif
#endif
