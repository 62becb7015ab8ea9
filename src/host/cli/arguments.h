/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The command line as data: every command has a table of options, from which parsing, messages and
 * the help text follow.
 */
#ifndef TARE_CLI_ARGUMENTS_H
#define TARE_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/values.h"

struct tare_cli_command;

/** Everything a command line can say. Texts point into argv; what was not given is zero. */
typedef struct tare_cli_arguments {
    const char *model;
    const char *data;
    const char *input;
    const char *output;
    const char *preprocess;
    const char *preset;
    const char *model_type;
    const char *target;
    const char *device;
    const char *precision;
    const char *json;
    const char *state;
    const char *method;
    const char *collect;
    tare_cli_texts states;
    tare_cli_texts ignored_names;
    tare_cli_texts ignored_types;
    tare_cli_texts ignored_patterns;
    tare_cli_shapes shapes;
    uint64_t samples;
    uint64_t threads;
    uint64_t batch;
    uint64_t memory_bytes;
    tare_cli_shard shard;
    tare_cli_duration checkpoint;
    tare_cli_duration seconds;
    tare_cli_probability quantile;
    bool tune;
    bool resume;
    bool layers;
    bool allow_duplicates;
    bool skip_bad;
    bool quiet;
    bool help;
} tare_cli_arguments;

/** One option of a command. */
typedef struct tare_cli_option {
    const char *name;           /**< "--samples" */
    const char *letter;         /**< "-n", or NULL */
    const char *value;          /**< what the help calls the value; NULL: a switch */
    const char *text;           /**< one line of help */
    const tare_cli_kind *kind;  /**< how the value is read */
    size_t field;               /**< offset in tare_cli_arguments */
    const char *const *choices; /**< NULL-terminated list of the values allowed, or NULL: any */
    bool required;
} tare_cli_option;

/** The offset of a field of tare_cli_arguments, for the tables. */
#define TARE_CLI_FIELD(name) offsetof(tare_cli_arguments, name)

/** Single rows that several commands have. */
#define TARE_CLI_JSON_OPTION                                                                       \
    {                                                                                              \
        "--json", NULL, "FILE", "write the report as JSON ('-': print it instead of the text)",    \
            &tare_cli_text, TARE_CLI_FIELD(json), NULL, false                                      \
    }
#define TARE_CLI_QUIET_OPTION                                                                      \
    {                                                                                              \
        "--quiet", "-q", NULL, "print errors and warnings only", &tare_cli_switch,                 \
            TARE_CLI_FIELD(quiet), NULL, false                                                     \
    }
#define TARE_CLI_SKIP_OPTION                                                                       \
    {                                                                                              \
        "--skip-bad", NULL, NULL, "skip samples that cannot be loaded, with a warning each",       \
            &tare_cli_switch, TARE_CLI_FIELD(skip_bad), NULL, false                                \
    }

/** Rows that all commands which execute or plan a model share. */
#define TARE_CLI_RUN_OPTIONS                                                                       \
    {"--shape",                                                                                    \
     NULL,                                                                                         \
     "NAME=DIMS",                                                                                  \
     "shape of an input with open dims, as data=1x3x224x224",                                      \
     &tare_cli_shape,                                                                              \
     TARE_CLI_FIELD(shapes),                                                                       \
     NULL,                                                                                         \
     false},                                                                                       \
        {"--device",     NULL,                                                                     \
         "NAME",         "auto (default), cpu, cuda or cuda:N",                                    \
         &tare_cli_text, TARE_CLI_FIELD(device),                                                   \
         NULL,           false},                                                                   \
        {"--precision",                                                                            \
         NULL,                                                                                     \
         "NAME",                                                                                   \
         "on CUDA: auto (default, tf32), fp32, tf32 or fp16",                                      \
         &tare_cli_text,                                                                           \
         TARE_CLI_FIELD(precision),                                                                \
         tare_cli_precisions,                                                                      \
         false},                                                                                   \
        {"--batch",                                                                                \
         NULL,                                                                                     \
         "N",                                                                                      \
         "on CUDA: samples run at once (default: by memory)",                                      \
         &tare_cli_count,                                                                          \
         TARE_CLI_FIELD(batch),                                                                    \
         NULL,                                                                                     \
         false},                                                                                   \
        {"--tune",                                                                                 \
         NULL,                                                                                     \
         NULL,                                                                                     \
         "on CUDA: measure how to do convolutions first",                                          \
         &tare_cli_switch,                                                                         \
         TARE_CLI_FIELD(tune),                                                                     \
         NULL,                                                                                     \
         false},                                                                                   \
        {"--threads",                                                                              \
         NULL,                                                                                     \
         "N",                                                                                      \
         "worker threads (default: all processors)",                                               \
         &tare_cli_count,                                                                          \
         TARE_CLI_FIELD(threads),                                                                  \
         NULL,                                                                                     \
         false},                                                                                   \
    {                                                                                              \
        "--memory", NULL, "SIZE", "refuse to start when more is needed, as 512M or 4G",            \
            &tare_cli_size, TARE_CLI_FIELD(memory_bytes), NULL, false                              \
    }

/** Rows that say what stays float. */
#define TARE_CLI_IGNORE_OPTIONS                                                                    \
    {"--ignore-name",                                                                              \
     NULL,                                                                                         \
     "NAME",                                                                                       \
     "leave this node in float (repeatable)",                                                      \
     &tare_cli_text_list,                                                                          \
     TARE_CLI_FIELD(ignored_names),                                                                \
     NULL,                                                                                         \
     false},                                                                                       \
        {"--ignore-type",                                                                          \
         NULL,                                                                                     \
         "TYPE",                                                                                   \
         "leave operators of this type in float (repeatable)",                                     \
         &tare_cli_text_list,                                                                      \
         TARE_CLI_FIELD(ignored_types),                                                            \
         NULL,                                                                                     \
         false},                                                                                   \
    {                                                                                              \
        "--ignore-pattern", NULL, "REGEX",                                                         \
            "leave nodes whose name begins so in float (repeatable)", &tare_cli_text_list,         \
            TARE_CLI_FIELD(ignored_patterns), NULL, false                                          \
    }

/** Rows that say what is quantized and how. */
#define TARE_CLI_PLACEMENT_OPTIONS                                                                 \
    {"--preset",       NULL,                                                                       \
     "NAME",           "performance (default) or mixed (transformers' default)",                   \
     &tare_cli_text,   TARE_CLI_FIELD(preset),                                                     \
     tare_cli_presets, false},                                                                     \
        {"--model-type",                                                                           \
         NULL,                                                                                     \
         "NAME",                                                                                   \
         "transformer: keep what hurts transformers in float",                                     \
         &tare_cli_text,                                                                           \
         TARE_CLI_FIELD(model_type),                                                               \
         tare_cli_model_types,                                                                     \
         false},                                                                                   \
        {"--target",     NULL,                                                                     \
         "NAME",         "runtime to quantize for (default openvino)",                             \
         &tare_cli_text, TARE_CLI_FIELD(target),                                                   \
         NULL,           false},                                                                   \
        TARE_CLI_IGNORE_OPTIONS

extern const char *const tare_cli_presets[];
extern const char *const tare_cli_precisions[];
extern const char *const tare_cli_model_types[];

/**
 * Reads what follows the command's name: argv[0] is the first argument. On a mistake prints it and
 * returns TARE_CLI_EXIT_USAGE. Modifies argv's texts; the caller releases `out` in every case.
 */
int tare_cli_arguments_parse(tare_cli_arguments *out, const struct tare_cli_command *command,
                             int argc, char **argv);

/** Releases the lists. */
void tare_cli_arguments_release(tare_cli_arguments *arguments);

/** Prints the command's help to standard output. */
void tare_cli_arguments_help(const struct tare_cli_command *command);

/** The entry of `names` (count pointers, `stride` bytes apart) nearest to `given`, or NULL when
 * none is near enough to be meant. */
const char *tare_cli_nearest(const char *given, const void *names, size_t count, size_t stride);

#endif
