// SPDX-License-Identifier: Apache-2.0
// The emulator: fibers, their schedule, barriers, warp collectives and shared memory.
#include "emulator.h"
#include "cuda_runtime.h"
#include "fake_stream.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if !defined(__x86_64__)
#error "the emulator switches stacks in x86-64 assembly"
#endif

// Saves the registers that a call must preserve, and the stack; goes on where `to` was left.
extern "C" void emulator_switch(void **from, void *to);
asm(".text\n"
    ".globl emulator_switch\n"
    ".type emulator_switch, @function\n"
    "emulator_switch:\n"
    "    pushq %rbp\n"
    "    pushq %rbx\n"
    "    pushq %r12\n"
    "    pushq %r13\n"
    "    pushq %r14\n"
    "    pushq %r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15\n"
    "    popq %r14\n"
    "    popq %r13\n"
    "    popq %r12\n"
    "    popq %rbx\n"
    "    popq %rbp\n"
    "    ret\n"
    ".size emulator_switch, .-emulator_switch\n");

namespace {

// What AddressSanitizer is told of the change to another stack; nothing in a build without it.
void switch_begins(void **save, const void *bottom, size_t size) {
#ifdef SANITIZED
    __sanitizer_start_switch_fiber(save, bottom, size);
#else
    (void)save, (void)bottom, (void)size;
#endif
}

void switch_ends(void *saved, const void **bottom, size_t *size) {
#ifdef SANITIZED
    __sanitizer_finish_switch_fiber(saved, bottom, size);
#else
    (void)saved, (void)bottom, (void)size;
#endif
}

void clean_stack(char *stack, size_t size) {
#ifdef SANITIZED
    ASAN_UNPOISON_MEMORY_REGION(stack, size);
#else
    (void)stack, (void)size;
#endif
}

constexpr size_t stack_bytes = 64 * 1024;
constexpr size_t static_shared_limit = 48 * 1024;
constexpr int lanes = 32;
constexpr unsigned most_threads = 1024; // of a block

// Which threads of a block are ready.
class thread_set {
  public:
    void clear() {
        std::fill(words, words + word_count, 0);
    }
    void add(unsigned index) {
        words[index / 64] |= uint64_t{1} << index % 64;
    }
    void remove(unsigned index) {
        words[index / 64] &= ~(uint64_t{1} << index % 64);
    }
    // The first one from `begin` on; most_threads when there is none.
    unsigned first(unsigned begin) const {
        uint64_t mask = ~uint64_t{0} << begin % 64;
        for (unsigned w = begin / 64; w < word_count; w++, mask = ~uint64_t{0}) {
            if ((words[w] & mask) != 0) {
                return w * 64 + static_cast<unsigned>(__builtin_ctzll(words[w] & mask));
            }
        }
        return most_threads;
    }
    unsigned last() const {
        for (unsigned w = word_count; w-- > 0;) {
            if (words[w] != 0) {
                return w * 64 + 63 - static_cast<unsigned>(__builtin_clzll(words[w]));
            }
        }
        return most_threads;
    }
    unsigned count() const {
        unsigned sum = 0;
        for (uint64_t word : words) {
            sum += static_cast<unsigned>(__builtin_popcountll(word));
        }
        return sum;
    }
    // Member number `rank` from 0, of which there are more.
    unsigned ranked(unsigned rank) const {
        unsigned w = 0, here;
        while (rank >= (here = static_cast<unsigned>(__builtin_popcountll(words[w])))) {
            rank -= here;
            w++;
        }
        uint64_t word = words[w];
        for (; rank > 0; rank--) {
            word &= word - 1;
        }
        return w * 64 + static_cast<unsigned>(__builtin_ctzll(word));
    }

  private:
    static constexpr unsigned word_count = most_threads / 64;
    uint64_t words[word_count] = {};
};

enum class state { ready, at_barrier, in_collective, done };

struct fiber {
    std::unique_ptr<char[]> stack;
    void *pointer = nullptr; // where it left its stack
    void *fake_stack = nullptr;
    state now = state::ready;
    emulator::place place;
    unsigned index = 0;         // in the block
    const char *site = nullptr; // where it waits
    size_t arrays = 0;          // shared arrays declared so far
};

// A warp's values of the collective that it is about to do. Two sets: a lane may still have to read
// the last one when another has come to the next, but no lane can be two ahead.
struct warp {
    uint64_t values[2][lanes] = {};
    unsigned set = 0;
    int arrived = 0;
};

struct machine {
    emulator_settings settings = emulator_defaults();
    std::string failure;
    int launches = 0;
    uint64_t random = 0;
    std::map<const void *, size_t> dynamic_limits;
    std::vector<std::string> barriers;

    std::vector<fiber> fibers; // of the largest block so far: their stacks are kept
    unsigned threads = 0;      // of this block
    thread_set ready;
    std::vector<warp> warps;
    std::vector<std::vector<char>> arrays; // the block's shared memory
    size_t shared_used = 0, shared_limit = 0;
    std::vector<char> dynamic;
    const std::function<void()> *body = nullptr;
    fiber *running = nullptr;
    void *scheduler = nullptr;
    void *scheduler_fake_stack = nullptr;
    const void *scheduler_bottom = nullptr;
    size_t scheduler_size = 0;
    unsigned last = 0;
    const char *last_site = nullptr; // of a barrier
    bool stopped = false;
};

machine m;
std::mutex one_launch; // held by the thread whose launch runs
thread_local cudaError_t last_status = cudaSuccess;

uint32_t draw(uint32_t below) {
    m.random = m.random * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<uint32_t>((m.random >> 33) % below);
}

void set_state(fiber &of, state now) {
    of.now = now;
    if (now == state::ready) {
        m.ready.add(of.index);
    } else {
        m.ready.remove(of.index);
    }
}

// Back to the scheduler; returns when the fiber is chosen again.
void leave() {
    fiber *self = m.running;
    const bool ends = self->now == state::done;
    switch_begins(ends ? nullptr : &self->fake_stack, m.scheduler_bottom, m.scheduler_size);
    emulator_switch(&self->pointer, m.scheduler);
    switch_ends(self->fake_stack, &m.scheduler_bottom, &m.scheduler_size);
}

void enter_fiber() {
    switch_ends(nullptr, &m.scheduler_bottom, &m.scheduler_size);
    (*m.body)();
    set_state(*m.running, state::done);
    leave();
    std::abort();
}

void resume(fiber &next) {
    m.running = &next;
    switch_begins(&m.scheduler_fake_stack, next.stack.get(), stack_bytes);
    emulator_switch(&m.scheduler, next.pointer);
    switch_ends(m.scheduler_fake_stack, nullptr, nullptr);
    m.running = nullptr;
}

// Number `index` of a box whose first axis runs fastest.
dim3 unfold(uint64_t index, const dim3 &box) {
    return {static_cast<unsigned>(index % box.x), static_cast<unsigned>(index / box.x % box.y),
            static_cast<unsigned>(index / box.x / box.y)};
}

uint64_t volume(const dim3 &box) {
    return static_cast<uint64_t>(box.x) * box.y * box.z;
}

void prepare(fiber &fresh, unsigned index, const emulator::shape &shape, uint64_t block) {
    if (fresh.stack == nullptr) {
        fresh.stack.reset(new char[stack_bytes]);
    }
    char *end = fresh.stack.get() + stack_bytes;
    // Frames of a fiber that was given up, or that never returned, are still marked.
    if (fresh.pointer != nullptr) {
        char *left = static_cast<char *>(fresh.pointer);
        clean_stack(left, static_cast<size_t>(end - left));
    }
    uintptr_t top = reinterpret_cast<uintptr_t>(end);
    top -= top % 16;
    void **words = reinterpret_cast<void **>(top) - 8;
    std::fill(words, words + 8, nullptr);
    words[6] = reinterpret_cast<void *>(enter_fiber); // where emulator_switch() returns to
    fresh.pointer = words;
    fresh.fake_stack = nullptr;
    fresh.index = index;
    set_state(fresh, state::ready);
    fresh.site = nullptr;
    fresh.arrays = 0;
    fresh.place = {unfold(index, shape.threads), unfold(block, shape.blocks), shape.threads,
                   shape.blocks};
}

void note_failure(const char *format, va_list arguments) {
    char text[512];
    std::vsnprintf(text, sizeof text, format, arguments);
    if (m.failure.empty()) {
        m.failure = text;
    }
    last_status = cudaErrorLaunchFailure;
    m.stopped = true;
}

void note_failure(const char *format, ...) __attribute__((format(printf, 1, 2)));
void note_failure(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    note_failure(format, arguments);
    va_end(arguments);
}

// The next fiber that is ready, by the schedule; NULL when all wait or are done.
fiber *choose() {
    unsigned at = m.ready.first(0);
    if (at == most_threads) {
        return nullptr;
    }
    switch (m.settings.schedule) {
    case EMULATOR_SCHEDULE_ASCENDING:
        break;
    case EMULATOR_SCHEDULE_DESCENDING:
        at = m.ready.last();
        break;
    case EMULATOR_SCHEDULE_ROUND:
        if (m.last + 1 < most_threads && m.ready.first(m.last + 1) != most_threads) {
            at = m.ready.first(m.last + 1);
        }
        break;
    case EMULATOR_SCHEDULE_RANDOM:
        at = m.ready.ranked(draw(m.ready.count()));
        break;
    }
    m.last = at;
    return &m.fibers[at];
}

// Opens the barrier when every thread of the block waits at the same one. False when nothing can go
// on.
bool open_barrier() {
    size_t waiting = 0, done = 0;
    const fiber *first = nullptr, *stray = nullptr;
    for (unsigned i = 0; i < m.threads; i++) {
        const fiber &each = m.fibers[i];
        done += each.now == state::done ? 1 : 0;
        if (each.now == state::at_barrier) {
            waiting++;
            first = first == nullptr ? &each : first;
            stray = std::strcmp(each.site, first->site) != 0 ? &each : stray;
        }
    }
    if (stray != nullptr) {
        note_failure("thread %u waits at the barrier %s, thread %u at %s", first->index,
                     first->site, stray->index, stray->site);
    } else if (waiting != m.threads) {
        note_failure("%zu threads wait at barriers, %zu in warp collectives, %zu have ended",
                     waiting, m.threads - waiting - done, done);
    } else {
        for (unsigned i = 0; i < m.threads; i++) {
            set_state(m.fibers[i], state::ready);
        }
    }
    return !m.stopped;
}

void run_block(const emulator::shape &shape, uint64_t block) {
    const unsigned threads = static_cast<unsigned>(volume(shape.threads));
    m.threads = threads;
    m.ready.clear();
    if (m.fibers.size() < threads) {
        m.fibers.resize(threads);
    }
    m.warps.assign((threads + lanes - 1) / lanes, warp());
    m.arrays.clear();
    m.shared_used = shape.shared_bytes;
    m.dynamic.assign(shape.shared_bytes, static_cast<char>(0xff));
    m.dynamic.shrink_to_fit();
    m.last = threads - 1;
    for (unsigned i = 0; i < threads; i++) {
        prepare(m.fibers[i], i, shape, block);
    }
    while (!m.stopped) {
        fiber *next = choose();
        if (next != nullptr) {
            resume(*next);
        } else if (std::all_of(m.fibers.begin(), m.fibers.begin() + threads,
                               [](const fiber &f) { return f.now == state::done; })) {
            return;
        } else if (!open_barrier()) {
            return;
        }
    }
}

std::vector<uint64_t> block_order(uint64_t blocks) {
    std::vector<uint64_t> order(blocks);
    for (uint64_t i = 0; i < blocks; i++) {
        order[i] = m.settings.schedule == EMULATOR_SCHEDULE_DESCENDING ? blocks - 1 - i : i;
    }
    for (uint64_t i = blocks; m.settings.schedule == EMULATOR_SCHEDULE_RANDOM && i > 1; i--) {
        std::swap(order[i - 1], order[draw(static_cast<uint32_t>(i))]);
    }
    return order;
}

// What a device takes: the limits of compute capability 8.0 and later.
bool launchable(const emulator::shape &shape, size_t dynamic_limit) {
    const uint64_t threads = volume(shape.threads);
    return volume(shape.blocks) > 0 && threads > 0 && threads <= most_threads &&
           threads % lanes == 0 && shape.threads.z <= 64 && shape.blocks.x <= 0x7fffffffU &&
           shape.blocks.y <= 65535 && shape.blocks.z <= 65535 &&
           shape.shared_bytes <= dynamic_limit;
}

} // namespace

namespace emulator {

const place &here() {
    return m.running->place;
}

unsigned lane() {
    return m.running->index % lanes;
}

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    note_failure(format, arguments);
    va_end(arguments);
    leave(); // the launch is given up, so nobody comes back
    std::abort();
}

namespace {

// Does what was launched; the result is that of waiting for it.
cudaError_t run(const shape &shape, size_t shared_limit, const std::function<void()> &body) {
    const std::lock_guard<std::mutex> alone(one_launch);
    m.shared_limit = shared_limit;
    m.stopped = false;
    m.body = &body;
    for (uint64_t block : block_order(volume(shape.blocks))) {
        run_block(shape, block);
        if (m.stopped) {
            return cudaErrorLaunchFailure;
        }
    }
    return cudaSuccess;
}

// What check_parameter() found.
thread_local const void *host_address = nullptr;

// Whether the device takes the launch, and the shared memory that a block may have.
bool accept(size_t &shared_limit, const void *kernel, const shape &shape) {
    const std::lock_guard<std::mutex> alone(one_launch);
    const auto raised = m.dynamic_limits.find(kernel);
    const bool is_raised = raised != m.dynamic_limits.end();
    shared_limit = is_raised ? m.settings.shared_bytes - 1024 : static_shared_limit;
    m.launches++;
    if (m.launches == m.settings.refused_launch) {
        last_status = cudaErrorLaunchFailure;
        return false;
    }
    const void *of_host = host_address;
    host_address = nullptr;
    if (of_host != nullptr) {
        note_failure("a kernel is given %p, which is not on the device", of_host);
        std::fprintf(stderr, "fake CUDA: a kernel is given %p, which is not on the device\n",
                     of_host);
        last_status = cudaErrorInvalidValue;
        return false;
    }
    const size_t most = is_raised ? raised->second : static_shared_limit;
    if (!launchable(shape, most)) {
        note_failure("a grid of %u x %u x %u blocks of %u x %u x %u threads with %zu bytes of "
                     "shared memory (limit %zu)",
                     shape.blocks.x, shape.blocks.y, shape.blocks.z, shape.threads.x,
                     shape.threads.y, shape.threads.z, shape.shared_bytes, most);
        last_status = cudaErrorInvalidValue;
        return false;
    }
    return true;
}

} // namespace

void launch(const void *kernel, const shape &shape, const std::function<void()> &body,
            CUstream_st *stream) {
    size_t shared_limit;
    if (accept(shared_limit, kernel, shape)) {
        add_work(stream, [shape, shared_limit, body] {
            return static_cast<fake_result>(run(shape, shared_limit, body));
        });
    }
}

void check_parameter(const void *parameter, size_t bytes) {
    for (size_t at = 0; at + sizeof(void *) <= bytes; at += sizeof(void *)) {
        const void *word;
        std::memcpy(&word, static_cast<const char *>(parameter) + at, sizeof word);
        // A bool or a 32-bit number looks like an address when its padding holds what one has left.
        const uintptr_t bits = reinterpret_cast<uintptr_t>(word);
        const bool may_be_bool = (bits & 0xfeU) == 0;
        const bool may_be_number = (bits & 0xffffffffU) < 0x1000000U;
        if (!may_be_bool && !may_be_number && fake_memory_is_host(word)) {
            host_address = word;
        }
    }
}

void *shared_array(size_t bytes) {
    const size_t index = m.running->arrays++;
    if (index == m.arrays.size()) {
        m.arrays.emplace_back(bytes, static_cast<char>(0xff));
        m.shared_used += bytes;
    }
    if (m.arrays[index].size() != bytes || m.shared_used > m.shared_limit) {
        fail("shared array %zu of %zu bytes: the threads disagree, or %zu bytes in all exceed %zu",
             index, bytes, m.shared_used, m.shared_limit);
    }
    return m.arrays[index].data();
}

void *shared_dynamic() {
    return m.dynamic.data();
}

void barrier(const char *site) {
    const char *name = std::strrchr(site, '/');
    name = name != nullptr ? name + 1 : site;
    if (site != m.last_site &&
        std::find(m.barriers.begin(), m.barriers.end(), name) == m.barriers.end()) {
        m.barriers.emplace_back(name);
    }
    m.last_site = site;
    if (m.settings.ignored_barrier != nullptr &&
        std::strcmp(name, m.settings.ignored_barrier) == 0) {
        return;
    }
    set_state(*m.running, state::at_barrier);
    m.running->site = site;
    leave();
}

void exchange(uint64_t (&out)[32], uint32_t mask, uint64_t mine, const char *site) {
    fiber *self = m.running;
    const unsigned index = self->index / lanes, lane = self->index % lanes;
    warp &all = m.warps[index];
    if (mask != 0xffffffffU) {
        fail("%s: mask %08x; only collectives of whole warps are emulated", site, mask);
    }
    for (unsigned i = index * lanes; i < (index + 1) * lanes; i++) {
        const fiber &other = m.fibers[i];
        if (other.now == state::in_collective && other.site != site &&
            std::strcmp(other.site, site) != 0) {
            fail("thread %u is at %s, thread %u of its warp at %s", self->index, site, i,
                 other.site);
        }
    }
    const unsigned set = all.set;
    all.values[set][lane] = mine;
    all.arrived++;
    if (all.arrived == lanes) {
        all.arrived = 0;
        all.set = 1 - set;
        for (unsigned i = index * lanes; i < (index + 1) * lanes; i++) {
            set_state(m.fibers[i], state::ready);
        }
    } else {
        set_state(*self, state::in_collective);
        self->site = site;
        leave();
    }
    std::memcpy(out, all.values[set], sizeof out);
}

} // namespace emulator

cudaError_t cudaGetDevice(int *device) {
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
    if (device != 0) {
        return cudaErrorInvalidValue;
    }
    *value = attribute == cudaDevAttrMultiProcessorCount
                 ? m.settings.processors
                 : static_cast<int>(m.settings.shared_bytes);
    return m.settings.processors > 0 ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaFuncSetAttribute(const void *function, cudaFuncAttribute attribute, int value) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
        static_cast<size_t>(value) + 1024 > m.settings.shared_bytes) {
        return cudaErrorInvalidValue;
    }
    m.dynamic_limits[function] = static_cast<size_t>(value);
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void) {
    const cudaError_t status = last_status;
    last_status = cudaSuccess;
    return status;
}

const char *cudaGetErrorString(cudaError_t status) {
    return status == cudaSuccess             ? "no error"
           : status == cudaErrorInvalidValue ? "invalid value"
                                             : "launch failure";
}

// By arithmetic and not by tables or the bits, so that it is no copy of the hardware's way.
float tare_half_to_float(uint16_t bits) {
    const int exponent = bits >> 10 & 31;
    const float mantissa = static_cast<float>(bits & 1023);
    const float magnitude = exponent == 31  ? (mantissa > 0 ? NAN : INFINITY)
                            : exponent == 0 ? std::ldexp(mantissa, -24)
                                            : std::ldexp(1024.0F + mantissa, exponent - 25);
    return std::copysign(magnitude, bits >> 15 != 0 ? -1.0F : 1.0F);
}

// Every step but one is exact: nearbyint() rounds ties to even at the quantum of the result.
uint16_t tare_float_to_half(float value) {
    const unsigned sign = std::signbit(value) ? 0x8000U : 0U;
    const float magnitude = std::fabs(value);
    if (std::isnan(value)) {
        return 0x7fffU;
    }
    if (magnitude >= 65520.0F) {
        return static_cast<uint16_t>(sign | 0x7c00U);
    }
    const int exponent = magnitude < 0x1p-14F ? -14 : std::ilogb(magnitude);
    // A sum, since rounding up to the next power of two carries into the exponent.
    const float steps = std::nearbyint(std::ldexp(magnitude, 10 - exponent));
    const unsigned bits =
        (static_cast<unsigned>(exponent + 14) << 10) + static_cast<unsigned>(steps);
    return static_cast<uint16_t>(sign | bits);
}

emulator_settings emulator_defaults(void) {
    return {EMULATOR_SCHEDULE_ASCENDING, 1, 2, 228 * 1024, 0, nullptr};
}

void emulator_set(emulator_settings settings) {
    m.settings = settings;
    m.failure.clear();
    last_status = cudaSuccess;
    m.launches = 0;
    m.random = settings.seed;
    m.dynamic_limits.clear();
}

const char *emulator_failure(void) {
    return m.failure.empty() ? nullptr : m.failure.c_str();
}

const char *emulator_barrier(size_t index) {
    return index < m.barriers.size() ? m.barriers[index].c_str() : nullptr;
}
