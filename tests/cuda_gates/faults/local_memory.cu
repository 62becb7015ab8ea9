// SPDX-License-Identifier: Apache-2.0
// A kernel whose array cannot stay in registers, because its index is known only at run time.
extern "C" __global__ void local_memory(float *out, const int *index) {
    float values[32];
    for (int i = 0; i < 32; i++) {
        values[i] = out[i];
    }
    for (int i = 0; i < 32; i++) {
        values[index[i]] += values[index[i + 32]];
    }
    for (int i = 0; i < 32; i++) {
        out[i] = values[i];
    }
}
