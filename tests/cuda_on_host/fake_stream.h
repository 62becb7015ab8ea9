/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Streams, events and graphs as the fakes of CUDA's libraries know them. Needs no CUDA header.
 *
 * Work that is given to a stream is done as late as a device could do it: when somebody waits for
 * it. So who reads a result without waiting reads what was there before, and who writes staged data
 * again too early spoils them; both would go unnoticed if all work were done at once. Work for the
 * stream NULL is done at once. All functions may be called by several threads.
 */
#ifndef TARE_TESTS_FAKE_STREAM_H
#define TARE_TESTS_FAKE_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
#include <functional>
extern "C" {
#endif

typedef struct CUstream_st fake_stream;
typedef struct CUevent_st fake_event;
typedef struct CUgraph_st fake_graph;
typedef struct CUgraphExec_st fake_executable;

/** What the runtime would answer: a cudaError_t. */
typedef int fake_result;

/** A piece of work; returns a cudaError_t. */
typedef fake_result (*fake_work)(void *context);

fake_stream *fake_stream_new(void);
void fake_stream_free(fake_stream *stream); /**< does its work first */

/** Queues call(context), for which `bytes` of the context are copied. What is done at once
 * returns its result; what fails later makes all later waits for the stream fail. */
fake_result fake_stream_add(fake_stream *stream, fake_work call, const void *context, size_t bytes);
fake_result fake_stream_wait(fake_stream *stream); /**< does its work */
fake_result fake_streams_wait(void);               /**< that of all streams */

/** Keeps device memory apart from the host's: show(true) is called before work is done and
 * show(false) behind it, one at a time; is_host says of which addresses kernels and libraries must
 * keep off. To be called before there is work. */
void fake_memory_apart(void (*show)(bool visible), bool (*is_host)(const void *address));

/** Whether memory is kept apart and the address is of the host's. */
bool fake_memory_is_host(const void *address);

/** Streams, events and graphs that were not freed. */
long fake_streams_living(void);

fake_event *fake_event_new(void);
void fake_event_free(fake_event *event);
fake_result fake_event_record(fake_event *event, fake_stream *stream);
fake_result fake_event_wait(fake_event *event); /**< does what was queued before it */
fake_result fake_event_follow(fake_stream *stream, fake_event *event);
/** False when one of them was never recorded or is not reached. */
bool fake_event_seconds(double *out, const fake_event *from, const fake_event *to);

/** Between the two calls work given to the stream is kept in a graph instead. */
fake_result fake_capture_begin(fake_stream *stream);
fake_result fake_capture_end(fake_graph **out, fake_stream *stream);
bool fake_is_capturing(void); /**< whether the calling thread captures */
void fake_graph_free(fake_graph *graph);
fake_executable *fake_executable_new(const fake_graph *graph);
void fake_executable_free(fake_executable *executable); /**< what is queued of it is still done */
fake_result fake_executable_launch(fake_executable *executable, fake_stream *stream);

#ifdef __cplusplus
}

namespace emulator {

/** As fake_stream_add(). */
fake_result add_work(fake_stream *stream, std::function<fake_result()> work);

} // namespace emulator
#endif

#endif
