// SPDX-License-Identifier: Apache-2.0
// A kernel with a variable that nobody uses.
extern "C" __global__ void warning(float *out) {
    int unused = 0;
    out[threadIdx.x] = 0.0F;
}
