// SPDX-License-Identifier: Apache-2.0
// Streams, events and graphs that do their work when somebody waits for it.
#include "fake_stream.h"
#include "cuda_runtime.h"

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

namespace {

typedef std::function<fake_result()> work;

// One thread at a time does anything here; doing work may lead back to here.
std::recursive_mutex mutex;
typedef std::lock_guard<std::recursive_mutex> lock;

thread_local int captures = 0;

// See fake_memory_apart().
void (*show_memory)(bool visible) = nullptr;
bool (*memory_is_host)(const void *address) = nullptr;

// While one of these lives device memory can be seen. Work may lead to more work.
struct visible_memory {
    static int depth;

    visible_memory() {
        if (depth++ == 0 && show_memory != nullptr) {
            show_memory(true);
        }
    }

    ~visible_memory() {
        if (--depth == 0 && show_memory != nullptr) {
            show_memory(false);
        }
    }

    visible_memory(const visible_memory &) = delete;
    visible_memory &operator=(const visible_memory &) = delete;
};

int visible_memory::depth = 0;

std::atomic<long> living{0}; // streams, events, graphs, executables

} // namespace

struct CUgraph_st {
    std::vector<work> all;
};

struct CUgraphExec_st {
    std::shared_ptr<std::vector<work>> all;
};

namespace {

// Outlives the stream while an event refers to it.
struct queue {
    std::deque<work> open;
    uint64_t given = 0, done = 0;
    fake_result failed = cudaSuccess;
    std::unique_ptr<CUgraph_st> capture;

    void work_until(uint64_t position) {
        const visible_memory seen;
        while (done < position) {
            const work next = std::move(open.front());
            open.pop_front();
            done++;
            // Nothing is done behind a failure, as on a device.
            if (failed == cudaSuccess) {
                failed = next();
            }
        }
    }
};

std::set<std::shared_ptr<queue>> queues;

} // namespace

struct CUstream_st {
    std::shared_ptr<queue> all;
};

struct CUevent_st {
    std::shared_ptr<queue> where;
    uint64_t position = 0;
    std::shared_ptr<double> reached; // when; negative: not yet
};

fake_result emulator::add_work(fake_stream *stream, std::function<fake_result()> work) {
    const lock alone(mutex);
    if (stream == nullptr) {
        const visible_memory seen;
        return work();
    }
    queue &to = *stream->all;
    if (to.capture != nullptr) {
        to.capture->all.push_back(std::move(work));
    } else {
        to.open.push_back(std::move(work));
        to.given++;
    }
    return cudaSuccess;
}

void fake_memory_apart(void (*show)(bool visible), bool (*is_host)(const void *address)) {
    const lock alone(mutex);
    show_memory = show;
    memory_is_host = is_host;
}

bool fake_memory_is_host(const void *address) {
    return memory_is_host != nullptr && memory_is_host(address);
}

fake_stream *fake_stream_new(void) {
    const lock alone(mutex);
    CUstream_st *fresh = new CUstream_st{std::make_shared<queue>()};
    queues.insert(fresh->all);
    living++;
    return fresh;
}

void fake_stream_free(fake_stream *stream) {
    const lock alone(mutex);
    stream->all->work_until(stream->all->given);
    queues.erase(stream->all);
    living--;
    delete stream;
}

fake_result fake_stream_add(fake_stream *stream, fake_work call, const void *context,
                            size_t bytes) {
    const char *begin = static_cast<const char *>(context);
    std::vector<char> copy(begin, begin + bytes);
    return emulator::add_work(stream, [call, copy]() mutable { return call(copy.data()); });
}

fake_result fake_stream_wait(fake_stream *stream) {
    const lock alone(mutex);
    if (stream == nullptr) {
        return cudaSuccess;
    }
    if (stream->all->capture != nullptr) {
        return cudaErrorStreamCaptureUnsupported;
    }
    stream->all->work_until(stream->all->given);
    return stream->all->failed;
}

fake_result fake_streams_wait(void) {
    const lock alone(mutex);
    fake_result result = cudaSuccess;
    for (const std::shared_ptr<queue> &each : queues) {
        each->work_until(each->given);
        result = result == cudaSuccess ? each->failed : result;
    }
    return result;
}

long fake_streams_living(void) {
    return living;
}

fake_event *fake_event_new(void) {
    living++;
    return new CUevent_st;
}

void fake_event_free(fake_event *event) {
    living--;
    delete event;
}

fake_result fake_event_record(fake_event *event, fake_stream *stream) {
    const lock alone(mutex);
    if (stream == nullptr || stream->all->capture != nullptr) {
        return cudaErrorStreamCaptureUnsupported; // CUDA would, the backend has no use for it
    }
    const auto reached = std::make_shared<double>(-1.0);
    emulator::add_work(stream, [reached] {
        const auto now = std::chrono::steady_clock::now().time_since_epoch();
        *reached = std::chrono::duration<double>(now).count();
        return static_cast<fake_result>(cudaSuccess);
    });
    event->where = stream->all;
    event->position = stream->all->given;
    event->reached = reached;
    return cudaSuccess;
}

fake_result fake_event_wait(fake_event *event) {
    const lock alone(mutex);
    if (event->where == nullptr) {
        return cudaSuccess;
    }
    event->where->work_until(event->position);
    return event->where->failed;
}

fake_result fake_event_follow(fake_stream *stream, fake_event *event) {
    const lock alone(mutex);
    if (stream == nullptr || stream->all->capture != nullptr) {
        return cudaErrorStreamCaptureUnsupported;
    }
    if (event->where == nullptr) {
        return cudaSuccess;
    }
    // The event as it is now: it may be recorded again before the stream gets here.
    const std::shared_ptr<queue> where = event->where;
    const uint64_t position = event->position;
    return emulator::add_work(stream, [where, position] {
        where->work_until(position);
        return where->failed;
    });
}

bool fake_event_seconds(double *out, const fake_event *from, const fake_event *to) {
    const lock alone(mutex);
    if (from->reached == nullptr || to->reached == nullptr || *from->reached < 0 ||
        *to->reached < 0) {
        return false;
    }
    *out = *to->reached - *from->reached;
    return true;
}

fake_result fake_capture_begin(fake_stream *stream) {
    const lock alone(mutex);
    if (stream == nullptr || stream->all->capture != nullptr) {
        return cudaErrorStreamCaptureUnsupported;
    }
    stream->all->capture = std::make_unique<CUgraph_st>();
    captures++;
    return cudaSuccess;
}

fake_result fake_capture_end(fake_graph **out, fake_stream *stream) {
    const lock alone(mutex);
    *out = nullptr;
    if (stream == nullptr || stream->all->capture == nullptr) {
        return cudaErrorIllegalState;
    }
    *out = stream->all->capture.release();
    living++;
    captures--;
    return cudaSuccess;
}

bool fake_is_capturing(void) {
    return captures > 0;
}

void fake_graph_free(fake_graph *graph) {
    living--;
    delete graph;
}

fake_executable *fake_executable_new(const fake_graph *graph) {
    living++;
    return new CUgraphExec_st{std::make_shared<std::vector<work>>(graph->all)};
}

void fake_executable_free(fake_executable *executable) {
    living--;
    delete executable;
}

fake_result fake_executable_launch(fake_executable *executable, fake_stream *stream) {
    const auto all = executable->all;
    return emulator::add_work(stream, [all] {
        for (const work &each : *all) {
            const fake_result result = each();
            if (result != cudaSuccess) {
                return result;
            }
        }
        return static_cast<fake_result>(cudaSuccess);
    });
}
