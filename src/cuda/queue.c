/* SPDX-License-Identifier: Apache-2.0 */
/** Queues, marks and recordings: streams, events and graphs of the CUDA runtime. */
#include <stdlib.h>

#include "cuda/api.h"
#include "cuda/conv.h"
#include "cuda/functions.h"

struct tare_mark {
    tare_device *device;
    cudaEvent_t event;
};

struct tare_recording {
    tare_device *device;
    cudaGraphExec_t executable;
};

/* Every thread has a device of its own, so each way in chooses ours; this costs nothing when it is
 * chosen already. */
static tare_status choose(const tare_device *device, tare_error *err) {
    return tare_cuda_check(device->api, device->api->cudaSetDevice(device->index), "cudaSetDevice",
                           err);
}

/* For functions that cannot fail: the error, if it stays, is met again by one that can. */
static void forget(const tare_device *device, cudaError_t result) {
    if (result != cudaSuccess) {
        (void)device->api->cudaGetLastError();
    }
}

tare_status tare_cuda_queue_new(tare_queue **out, tare_device *device, tare_error *err) {
    *out = NULL;
    TARE_TRY(choose(device, err));
    tare_queue *fresh = (tare_queue *)calloc(1, sizeof(tare_queue));
    if (fresh == NULL) {
        return tare_fail_memory(err, sizeof(tare_queue), "a queue");
    }
    fresh->device = device;
    tare_status status = tare_cuda_check(
        device->api, device->api->cudaStreamCreateWithFlags(&fresh->stream, cudaStreamNonBlocking),
        "cudaStreamCreateWithFlags", err);
    if (status != TARE_OK) {
        free(fresh);
        return status;
    }
    status = tare_conv_queue_open(fresh, err);
    if (status != TARE_OK) {
        tare_cuda_queue_free(fresh);
        return status;
    }
    *out = fresh;
    return TARE_OK;
}

void tare_cuda_queue_free(tare_queue *queue) {
    if (queue != NULL) {
        forget(queue->device, queue->device->api->cudaStreamSynchronize(queue->stream));
        tare_conv_queue_close(queue);
        forget(queue->device, queue->device->api->cudaStreamDestroy(queue->stream));
        free(queue);
    }
}

static const enum cudaMemcpyKind copy_kinds[] = {
    [TARE_COPY_TO_DEVICE] = cudaMemcpyHostToDevice,
    [TARE_COPY_TO_HOST] = cudaMemcpyDeviceToHost,
    [TARE_COPY_ON_DEVICE] = cudaMemcpyDeviceToDevice,
};

tare_status tare_cuda_copy(tare_queue *queue, const tare_copy *copy, tare_error *err) {
    const tare_cuda_api *api = queue->device->api;
    if (copy->bytes == 0) {
        return TARE_OK;
    }
    TARE_TRY(choose(queue->device, err));
    return tare_cuda_check(api,
                           api->cudaMemcpyAsync(copy->to, copy->from, copy->bytes,
                                                copy_kinds[copy->kind], queue->stream),
                           "cudaMemcpyAsync", err);
}

tare_status tare_cuda_zero(tare_queue *queue, void *memory, size_t bytes, tare_error *err) {
    const tare_cuda_api *api = queue->device->api;
    if (bytes == 0) {
        return TARE_OK;
    }
    TARE_TRY(choose(queue->device, err));
    return tare_cuda_check(api, api->cudaMemsetAsync(memory, 0, bytes, queue->stream),
                           "cudaMemsetAsync", err);
}

tare_status tare_cuda_wait(tare_queue *queue, tare_error *err) {
    const tare_cuda_api *api = queue->device->api;
    TARE_TRY(choose(queue->device, err));
    return tare_cuda_check(api, api->cudaStreamSynchronize(queue->stream), "work on the device",
                           err);
}

tare_status tare_cuda_mark_new(tare_mark **out, tare_device *device, tare_error *err) {
    *out = NULL;
    TARE_TRY(choose(device, err));
    tare_mark *fresh = (tare_mark *)calloc(1, sizeof(tare_mark));
    if (fresh == NULL) {
        return tare_fail_memory(err, sizeof(tare_mark), "a mark");
    }
    fresh->device = device;
    /* With times, for mark_seconds(); waiting blocks the thread instead of keeping it busy. */
    const tare_status status = tare_cuda_check(
        device->api, device->api->cudaEventCreateWithFlags(&fresh->event, cudaEventBlockingSync),
        "cudaEventCreateWithFlags", err);
    if (status != TARE_OK) {
        free(fresh);
        return status;
    }
    *out = fresh;
    return TARE_OK;
}

void tare_cuda_mark_free(tare_mark *mark) {
    if (mark != NULL) {
        forget(mark->device, mark->device->api->cudaEventDestroy(mark->event));
        free(mark);
    }
}

tare_status tare_cuda_mark_set(tare_mark *mark, tare_queue *queue, tare_error *err) {
    const tare_cuda_api *api = queue->device->api;
    TARE_TRY(choose(queue->device, err));
    return tare_cuda_check(api, api->cudaEventRecord(mark->event, queue->stream), "cudaEventRecord",
                           err);
}

tare_status tare_cuda_mark_wait(tare_mark *mark, tare_error *err) {
    const tare_cuda_api *api = mark->device->api;
    TARE_TRY(choose(mark->device, err));
    return tare_cuda_check(api, api->cudaEventSynchronize(mark->event), "work on the device", err);
}

tare_status tare_cuda_mark_follow(tare_queue *queue, tare_mark *mark, tare_error *err) {
    const tare_cuda_api *api = queue->device->api;
    TARE_TRY(choose(queue->device, err));
    return tare_cuda_check(
        api, api->cudaStreamWaitEvent(queue->stream, mark->event, cudaEventWaitDefault),
        "cudaStreamWaitEvent", err);
}

tare_status tare_cuda_mark_seconds(double *out, tare_mark *from, tare_mark *to, tare_error *err) {
    const tare_cuda_api *api = from->device->api;
    float milliseconds = 0;
    TARE_TRY(choose(from->device, err));
    TARE_TRY(tare_cuda_check(api, api->cudaEventElapsedTime(&milliseconds, from->event, to->event),
                             "cudaEventElapsedTime", err));
    *out = (double)milliseconds / 1000.0;
    return TARE_OK;
}

tare_status tare_cuda_record_begin(tare_queue *queue, tare_error *err) {
    const tare_cuda_api *api = queue->device->api;
    TARE_TRY(choose(queue->device, err));
    /* Other threads may go on allocating while this one records. */
    return tare_cuda_check(
        api, api->cudaStreamBeginCapture(queue->stream, cudaStreamCaptureModeThreadLocal),
        "cudaStreamBeginCapture", err);
}

static tare_status instantiate(tare_recording **out, tare_device *device, cudaGraph_t graph,
                               tare_error *err) {
    tare_recording *fresh = (tare_recording *)calloc(1, sizeof(tare_recording));
    if (fresh == NULL) {
        return tare_fail_memory(err, sizeof(tare_recording), "a recording");
    }
    fresh->device = device;
    const tare_status status = tare_cuda_check(
        device->api, device->api->cudaGraphInstantiate(&fresh->executable, graph, 0),
        "cudaGraphInstantiate", err);
    if (status != TARE_OK) {
        free(fresh);
        return status;
    }
    *out = fresh;
    return TARE_OK;
}

tare_status tare_cuda_record_end(tare_recording **out, tare_queue *queue, tare_error *err) {
    const tare_cuda_api *api = queue->device->api;
    cudaGraph_t graph = NULL;
    if (out != NULL) {
        *out = NULL;
    }
    TARE_TRY(choose(queue->device, err));
    const cudaError_t result = api->cudaStreamEndCapture(queue->stream, &graph);
    tare_status status = TARE_OK;
    if (out != NULL) {
        status = tare_cuda_check(api, result, "cudaStreamEndCapture", err);
    } else {
        forget(queue->device, result); /* what failed while recording is why it is dropped */
    }
    if (graph != NULL && status == TARE_OK && out != NULL) {
        status = instantiate(out, queue->device, graph, err);
    } else if (graph == NULL && status == TARE_OK && out != NULL) {
        status = tare_fail(err, TARE_BACKEND, "cudaStreamEndCapture: nothing was recorded");
    }
    if (graph != NULL) {
        forget(queue->device, api->cudaGraphDestroy(graph));
    }
    return status;
}

tare_status tare_cuda_replay(tare_queue *queue, tare_recording *recording, tare_error *err) {
    const tare_cuda_api *api = queue->device->api;
    TARE_TRY(choose(queue->device, err));
    return tare_cuda_check(api, api->cudaGraphLaunch(recording->executable, queue->stream),
                           "cudaGraphLaunch", err);
}

void tare_cuda_recording_free(tare_recording *recording) {
    if (recording != NULL) {
        forget(recording->device,
               recording->device->api->cudaGraphExecDestroy(recording->executable));
        free(recording);
    }
}
