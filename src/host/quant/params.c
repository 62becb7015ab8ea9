/* SPDX-License-Identifier: Apache-2.0 */
/** Scales and zero points. Every operation rounds to float32, so that the results can be compared
 * bit for bit. */
#include "quant/params.h"

#include <math.h>
#include <string.h>

#include "quant/weight.h"

/* Ranges below these are widened: a scale must not vanish for a tensor of zeros. */
static const float min_symmetric_range = 8e-5F;
static const float min_asymmetric_range = 8e-4F;
/* Channels below this part of the widest one would only amplify noise. */
static const float min_channel_part = 0.01F;
/* float32's machine epsilon is the smallest scale. */
static const float min_scale = 1.1920928955078125e-07F;

/* ---- from a range to the bounds of the codes ---- */

/* What all channels of a tensor have in common. */
typedef struct bounds_rule {
    bool symmetric, is_signed;
    float threshold; /* symmetric: the smallest magnitude of a channel */
    float stretch;   /* symmetric and signed: how much further the negative side reaches */
    float widen;     /* half range: both sides, so that only the inner codes are used */
} bounds_rule;

static bounds_rule rule_make(const tare_params_spec *spec, const float *min, const float *max,
                             size_t count) {
    const bool narrow = spec->config.narrow;
    const int levels = spec->half_range ? 128 : 256;
    bounds_rule rule = {.symmetric = spec->config.symmetric,
                        .is_signed = spec->config.signed_only,
                        .threshold = min_symmetric_range,
                        .stretch = 1.0F,
                        .widen = 1.0F};
    float widest = max[0];
    for (size_t i = 0; i < count; i++) {
        widest = max[i] > widest ? max[i] : widest;
        rule.is_signed |= min[i] < 0.0F;
    }
    if (widest * min_channel_part > rule.threshold) {
        rule.threshold = widest * min_channel_part;
    }
    if (!narrow) {
        /* The lowest code of a full range has no counterpart among the positive ones. */
        rule.stretch = (float)((double)levels / (double)(levels - 2));
    }
    if (spec->half_range) {
        const int exported = narrow ? 255 : 256;
        rule.widen = (float)((double)(exported - 1) / (double)(levels - 1));
    }
    return rule;
}

static void symmetric_bounds(float *low, float *high, const bounds_rule *rule, float max) {
    const float top = max > rule->threshold ? max : rule->threshold;
    const float bottom = rule->is_signed ? -top * rule->stretch : 0.0F;
    *low = bottom * rule->widen;
    *high = top * rule->widen;
}

/* Moves one bound outwards so that zero falls on a code. */
static void zero_align(float *low, float *high) {
    const float steps = 255.0F;
    const float scale = steps / (*high - *low);
    const float zero = rintf(-*low * scale);
    const float lower = zero < steps ? zero / (zero - steps) * *high : *low;
    const float upper = zero > 0.0F ? (zero - steps) / zero * *low : *high;
    if (*high - lower > upper - *low) {
        *low = lower;
    } else {
        *high = upper;
    }
}

static void asymmetric_bounds(float *low, float *high, float min, float max) {
    const float margin = max - min > min_asymmetric_range ? 0.0F : min_asymmetric_range;
    const float bottom = min - margin;
    const float top = max + margin;
    *low = bottom < 0.0F ? bottom : 0.0F;
    *high = top > 0.0F ? top : 0.0F;
    zero_align(low, high);
}

static void bounds(float *low, float *high, const bounds_rule *rule, float min, float max) {
    if (rule->symmetric) {
        symmetric_bounds(low, high, rule, max);
    } else {
        asymmetric_bounds(low, high, min, max);
    }
}

static tare_status range_check(const float *min, const float *max, size_t count, bool symmetric,
                               tare_error *err) {
    for (size_t i = 0; i < count; i++) {
        /* In the symmetric scheme max is a magnitude, which min may exceed on neither side. */
        const bool ordered = symmetric ? max[i] >= 0.0F : max[i] >= min[i];
        if (!isfinite(min[i]) || !isfinite(max[i]) || !ordered) {
            return tare_fail(
                err, TARE_INVALID_ARGUMENT,
                "the range of channel %zu is [%g, %g], expected finite bounds in order", i,
                (double)min[i], (double)max[i]);
        }
    }
    return TARE_OK;
}

tare_status tare_params_compute(tare_quantizer_params *out, const tare_params_spec *spec,
                                const float *min, const float *max, size_t count, tare_error *err) {
    if (spec->config.bits != 8 || (spec->half_range && !spec->config.symmetric)) {
        return tare_fail(err, TARE_UNSUPPORTED, "%u bits%s, expected 8", spec->config.bits,
                         spec->half_range ? " with an asymmetric half range" : "");
    }
    if (count == 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "no range, expected at least one");
    }
    TARE_TRY(range_check(min, max, count, spec->config.symmetric, err));
    const bounds_rule rule = rule_make(spec, min, max, count);
    bool is_signed = spec->weight;
    float low;
    float high;
    for (size_t i = 0; i < count && !is_signed; i++) {
        bounds(&low, &high, &rule, min[i], max[i]);
        is_signed = low < 0.0F;
    }
    const int lowest = is_signed ? -128 : 0;
    const int highest = is_signed ? 127 : 255;
    const int first = lowest + (spec->config.narrow ? 1 : 0);
    out->dtype = is_signed ? TARE_DTYPE_INT8 : TARE_DTYPE_UINT8;
    out->count = count;
    for (size_t i = 0; i < count; i++) {
        bounds(&low, &high, &rule, min[i], max[i]);
        const float scale = (high - low) / (float)(highest - first);
        out->scale[i] = scale < min_scale ? min_scale : scale;
        const float zero = (float)first - rintf(low / out->scale[i]);
        out->zero_point[i] = zero < (float)lowest    ? lowest
                             : zero > (float)highest ? highest
                                                     : (int32_t)zero;
    }
    return TARE_OK;
}
