/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The part of the CUDA runtime that the backend calls, on the host. Device memory is the host's,
 * filled with NaN; streams do their work when somebody waits for it (fake_stream.h). What is not
 * freed is reported on standard error when the process ends.
 *
 * In the plug-in (FAKE_MEMORY_APART) device memory can be touched by that work only, and kernels
 * and libraries refuse addresses of the host: a copy that a plan forgot is noticed although both
 * are the same memory here.
 */
#include <cuda_runtime_api.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emulator.h"
#include "fake_stream.h"
#include "fault.h"

#define DEFAULT_MEMORY (8LL << 30)

/* An allocation: device memory, or pinned host memory. */
typedef struct block {
    struct block *next;
    char *memory;
    size_t bytes;
    bool pinned;
} block;

static struct {
    pthread_mutex_t mutex;
    block *blocks;
    size_t used;  /* device memory */
    bool visible; /* device memory that is kept apart */
} heap = {PTHREAD_MUTEX_INITIALIZER, NULL, 0, false};

/* Says at the end of the process what the backend has left behind. */
static void report_leaks(void) {
    size_t count = 0;
    for (const block *each = heap.blocks; each != NULL; each = each->next) {
        count++;
    }
    if (count > 0 || fake_streams_living() > 0) {
        (void)fprintf(stderr, "fake CUDA: not freed: %zu allocations, %ld streams and the like\n",
                      count, fake_streams_living());
    }
}

#ifdef FAKE_MEMORY_APART
static size_t whole_pages(size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

/* Whole pages, so that they can be hidden. */
static void *new_memory(size_t bytes) {
    const int zeros = open("/dev/zero", O_RDWR);
    void *memory =
        zeros < 0 ? MAP_FAILED
                  : mmap(NULL, whole_pages(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE, zeros, 0);
    if (zeros >= 0) {
        (void)close(zeros);
    }
    return memory == MAP_FAILED ? NULL : memory;
}

static void free_memory(void *memory, size_t bytes) {
    (void)munmap(memory, whole_pages(bytes));
}

static void show_block(const block *each) {
    if (!each->pinned) {
        (void)mprotect(each->memory, whole_pages(each->bytes),
                       heap.visible ? PROT_READ | PROT_WRITE : PROT_NONE);
    }
}

static void show_all(bool visible) {
    (void)pthread_mutex_lock(&heap.mutex);
    heap.visible = visible;
    for (const block *each = heap.blocks; each != NULL; each = each->next) {
        show_block(each);
    }
    (void)pthread_mutex_unlock(&heap.mutex);
}

static bool lies_in(const void *memory, size_t bytes, bool pinned);

/* Small numbers are none; addresses of nothing may be anything. */
static bool is_host(const void *address) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t first = (uintptr_t)address & ~(page - 1);
    return first >> 40 != 0 && first >> 47 == 0 && !lies_in(address, 0, false) &&
           msync((char *)address - ((uintptr_t)address - first), page, MS_ASYNC) == 0;
}
#else
/* CUDA's allocations begin at multiples of 256. */
static void *new_memory(size_t bytes) {
    void *memory = NULL;
    return posix_memalign(&memory, 256, bytes) == 0 ? memory : NULL;
}

static void free_memory(void *memory, size_t bytes) {
    (void)bytes;
    free(memory);
}

static void show_block(const block *each) {
    (void)each;
}
#endif

static void start_process(void) {
    (void)atexit(report_leaks);
#ifdef FAKE_MEMORY_APART
    fake_memory_apart(show_all, is_host);
#endif
}

static pthread_once_t start_once = PTHREAD_ONCE_INIT;

static size_t total_memory(void) {
    return (size_t)fake_setting("memory", DEFAULT_MEMORY);
}

const char *cudaGetErrorName(cudaError_t error) {
    static const struct {
        cudaError_t error;
        const char *name;
    } names[] = {
        {cudaSuccess, "cudaSuccess"},
        {cudaErrorInvalidValue, "cudaErrorInvalidValue"},
        {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation"},
        {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver"},
        {cudaErrorNoDevice, "cudaErrorNoDevice"},
        {cudaErrorInvalidDevice, "cudaErrorInvalidDevice"},
        {cudaErrorNotReady, "cudaErrorNotReady"},
        {cudaErrorLaunchFailure, "cudaErrorLaunchFailure"},
        {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].error == error) {
            return names[i].name;
        }
    }
    return "cudaErrorUnknown";
}

const char *cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? "out of memory"
           : error == cudaErrorLaunchFailure  ? "unspecified launch failure"
                                              : cudaGetErrorName(error);
}

/* The emulator keeps the launches' own errors. */
cudaError_t cudaGetLastError(void) {
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version) {
    *version = (int)fake_setting("driver", CUDART_VERSION);
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count) {
    const int devices = (int)fake_setting("devices", 1);
    if (fake_setting("driver", CUDART_VERSION) < CUDART_VERSION) {
        return cudaErrorInsufficientDriver;
    }
    if (devices < 1) {
        return cudaErrorNoDevice;
    }
    *count = devices;
    return cudaSuccess;
}

static bool is_device(int device) {
    return device >= 0 && device < (int)fake_setting("devices", 1);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device) {
    const int capability = (int)fake_setting("capability", 90);
    if (!is_device(device)) {
        return cudaErrorInvalidDevice;
    }
    memset(properties, 0, sizeof *properties);
    (void)snprintf(properties->name, sizeof properties->name, "Emulated device");
    memset(properties->uuid.bytes, 0x5a, sizeof properties->uuid.bytes);
    properties->totalGlobalMem = total_memory();
    properties->multiProcessorCount = emulator_defaults().processors;
    properties->sharedMemPerBlock = (size_t)48 * 1024;
    properties->sharedMemPerBlockOptin = emulator_defaults().shared_bytes - 1024;
    properties->sharedMemPerMultiprocessor = emulator_defaults().shared_bytes;
    properties->warpSize = 32;
    properties->maxThreadsPerBlock = 1024;
    properties->major = capability / 10;
    properties->minor = capability % 10;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    struct cudaDeviceProp properties;
    const cudaError_t result = cudaGetDeviceProperties(&properties, device);
    if (result != cudaSuccess) {
        return result;
    }
    switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
        *value = properties.multiProcessorCount;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
        *value = properties.major;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
        *value = properties.minor;
        return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = (int)properties.sharedMemPerMultiprocessor;
        return cudaSuccess;
    default:
        return cudaErrorInvalidValue;
    }
}

cudaError_t cudaSetDevice(int device) {
    (void)pthread_once(&start_once, start_process);
    return is_device(device) ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaGetDevice(int *device) {
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void) {
    return (cudaError_t)fake_streams_wait();
}

cudaError_t cudaMemGetInfo(size_t *unused, size_t *total) {
    *total = total_memory();
    (void)pthread_mutex_lock(&heap.mutex);
    *unused = *total - heap.used;
    (void)pthread_mutex_unlock(&heap.mutex);
    return cudaSuccess;
}

static cudaError_t allocate(void **memory, size_t bytes, bool pinned) {
    cudaError_t result = cudaErrorMemoryAllocation;
    *memory = NULL;
    if (fake_is_capturing()) {
        return cudaErrorStreamCaptureUnsupported;
    }
    (void)pthread_mutex_lock(&heap.mutex);
    block *fresh =
        !pinned && bytes > total_memory() - heap.used ? NULL : (block *)malloc(sizeof(block));
    *memory = fresh == NULL ? NULL : new_memory(bytes);
    if (*memory != NULL) {
        memset(*memory, 0xff, bytes);
        *fresh = (block){heap.blocks, *memory, bytes, pinned};
        show_block(fresh);
        heap.blocks = fresh;
        heap.used += pinned ? 0 : bytes;
        fresh = NULL;
        result = cudaSuccess;
    }
    free(fresh);
    (void)pthread_mutex_unlock(&heap.mutex);
    return result;
}

static cudaError_t release(void *memory, bool pinned) {
    cudaError_t result = memory == NULL ? cudaSuccess : cudaErrorInvalidValue;
    /* As on a device, what is freed is not in use any more. */
    (void)fake_streams_wait();
    (void)pthread_mutex_lock(&heap.mutex);
    for (block **at = &heap.blocks; *at != NULL; at = &(*at)->next) {
        block *found = *at;
        if (found->memory == memory && found->pinned == pinned) {
            *at = found->next;
            heap.used -= pinned ? 0 : found->bytes;
            free_memory(found->memory, found->bytes);
            free(found);
            result = cudaSuccess;
            break;
        }
    }
    (void)pthread_mutex_unlock(&heap.mutex);
    return result;
}

/* Whether the range lies in an allocation of that kind. */
static bool lies_in(const void *memory, size_t bytes, bool pinned) {
    const char *begin = (const char *)memory;
    bool found = false;
    (void)pthread_mutex_lock(&heap.mutex);
    for (const block *each = heap.blocks; each != NULL && !found; each = each->next) {
        found = each->pinned == pinned && (uintptr_t)begin >= (uintptr_t)each->memory &&
                (uintptr_t)begin - (uintptr_t)each->memory <= each->bytes &&
                bytes <= each->bytes - (size_t)((uintptr_t)begin - (uintptr_t)each->memory);
    }
    (void)pthread_mutex_unlock(&heap.mutex);
    return found;
}

cudaError_t cudaMalloc(void **memory, size_t bytes) {
    return allocate(memory, bytes, false);
}

cudaError_t cudaFree(void *memory) {
    return release(memory, false);
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned flags) {
    return flags == cudaHostAllocDefault ? allocate(memory, bytes, true) : cudaErrorInvalidValue;
}

cudaError_t cudaFreeHost(void *memory) {
    return release(memory, true);
}

typedef struct copy_work {
    void *to;
    const void *from; /* NULL: the bytes follow */
    size_t bytes;
} copy_work;

static fake_result do_copy(void *context) {
    const copy_work *work = (const copy_work *)context;
    memcpy(work->to, work->from != NULL ? work->from : (const void *)(work + 1), work->bytes);
    return cudaSuccess;
}

/* A copy whose source is read now, as CUDA stages what lies in pageable memory. */
static cudaError_t add_staged_copy(const copy_work *copy, fake_stream *stream) {
    copy_work *work = (copy_work *)malloc(sizeof *work + copy->bytes);
    if (work == NULL) {
        return cudaErrorMemoryAllocation;
    }
    *work = (copy_work){copy->to, NULL, copy->bytes};
    memcpy(work + 1, copy->from, copy->bytes);
    const fake_result result = fake_stream_add(stream, do_copy, work, sizeof *work + copy->bytes);
    free(work);
    return (cudaError_t)result;
}

/* Whether device memory is where the kind of copy says. */
static bool is_sound(const copy_work *copy, enum cudaMemcpyKind kind) {
    const bool to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    return (to || from) && lies_in(copy->to, copy->bytes, false) == to &&
           lies_in(copy->from, copy->bytes, false) == from;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream) {
    const copy_work copy = {to, from, bytes};
    if (!is_sound(&copy, kind)) {
        return cudaErrorInvalidValue;
    }
    if (kind == cudaMemcpyHostToDevice && !lies_in(from, bytes, true)) {
        return add_staged_copy(&copy, stream);
    }
    const fake_result result = fake_stream_add(stream, do_copy, &copy, sizeof copy);
    if (result != cudaSuccess || kind != cudaMemcpyDeviceToHost || lies_in(to, bytes, true)) {
        return (cudaError_t)result;
    }
    return (cudaError_t)fake_stream_wait(stream);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
    return cudaMemcpyAsync(to, from, bytes, kind, NULL);
}

typedef struct set_work {
    void *memory;
    int value;
    size_t bytes;
} set_work;

static fake_result do_set(void *context) {
    const set_work *work = (const set_work *)context;
    memset(work->memory, work->value, work->bytes);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream) {
    const set_work work = {memory, value, bytes};
    return lies_in(memory, bytes, false)
               ? (cudaError_t)fake_stream_add(stream, do_set, &work, sizeof work)
               : cudaErrorInvalidValue;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    *stream = flags == cudaStreamNonBlocking ? fake_stream_new() : NULL;
    return *stream != NULL ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    fake_stream_free(stream);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    return (cudaError_t)fake_stream_wait(stream == cudaStreamLegacy ? NULL : stream);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
    return flags == cudaEventWaitDefault ? (cudaError_t)fake_event_follow(stream, event)
                                         : cudaErrorInvalidValue;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    return mode == cudaStreamCaptureModeThreadLocal ? (cudaError_t)fake_capture_begin(stream)
                                                    : cudaErrorInvalidValue;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    return (cudaError_t)fake_capture_end(graph, stream);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    (void)flags;
    *event = fake_event_new();
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    fake_event_free(event);
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    return (cudaError_t)fake_event_record(event, stream);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    return (cudaError_t)fake_event_wait(event);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end) {
    double seconds;
    if (!fake_event_seconds(&seconds, start, end)) {
        return cudaErrorNotReady;
    }
    *ms = (float)(seconds * 1000.0);
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph,
                                 unsigned long long flags) {
    (void)flags;
    *executable = fake_executable_new(graph);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    return (cudaError_t)fake_executable_launch(executable, stream);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    fake_graph_free(graph);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    fake_executable_free(executable);
    return cudaSuccess;
}
