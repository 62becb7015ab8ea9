// SPDX-License-Identifier: Apache-2.0
// A kernel whose result depends on which thread comes first.
extern "C" __global__ void atomic_sum(float *sum, const float *in) {
    atomicAdd(sum, in[threadIdx.x]);
}
