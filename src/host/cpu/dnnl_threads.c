/* SPDX-License-Identifier: Apache-2.0 */
/** The number of threads that oneDNN uses for one primitive. */
#include "cpu/dnnl_compat.h"
#include "cpu/dnnl_kernels.h"

#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
/* Declared here because <omp.h> belongs to a compiler and the runtime to oneDNN. */
extern void omp_set_num_threads(int threads);
#else
static void omp_set_num_threads(int threads) {
    TARE_UNUSED(threads);
}
#endif

void tare_dnnl_thread_begin(int threads_per_run) {
    omp_set_num_threads(threads_per_run);
}
