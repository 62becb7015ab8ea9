/* SPDX-License-Identifier: Apache-2.0 */
/** Types of values between file and graph. */
#include "onnx/types.h"

#include <string.h>

static const Tare__TypeProto__Tensor *tensor_type(const Tare__ValueInfoProto *info) {
    return info->type != NULL && info->type->value_case == TARE__TYPE_PROTO__VALUE_TENSOR_TYPE
               ? info->type->tensor_type
               : NULL;
}

/* -1: not fixed. Some exporters write negative numbers for that. */
static int64_t fixed_dim(const Tare__TensorShapeProto__Dimension *dim) {
    return dim->value_case == TARE__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
                   dim->dim_value >= 0
               ? dim->dim_value
               : -1;
}

static const char *dim_name(const Tare__TensorShapeProto__Dimension *dim) {
    return dim->value_case == TARE__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM ? dim->dim_param
                                                                                   : NULL;
}

tare_status tare_onnx_type_read(tare_value *value, tare_arena *arena,
                                const Tare__ValueInfoProto *info, bool names, tare_error *err) {
    const Tare__TypeProto__Tensor *type = tensor_type(info);
    const Tare__TensorShapeProto *shape;

    if (!value->is_tensor_type) {
        return TARE_OK; /* the list that is read first wins */
    }
    if (type == NULL) {
        value->is_tensor_type = value->dtype != TARE_DTYPE_UNDEFINED || info->type == NULL ||
                                info->type->value_case == TARE__TYPE_PROTO__VALUE__NOT_SET;
        return TARE_OK;
    }
    if (type->elem_type < 0) {
        return tare_fail(err, TARE_INVALID_MODEL, "tensor '%s': element type %ld is none of ONNX's",
                         value->name, (long)type->elem_type);
    }
    if (value->dtype == TARE_DTYPE_UNDEFINED) {
        value->dtype = (tare_dtype)type->elem_type;
    }
    shape = type->shape;
    if (shape == NULL || value->rank >= 0) {
        return TARE_OK;
    }
    if (shape->n_dim > TARE_MAX_RANK) {
        return tare_fail(err, TARE_UNSUPPORTED, "tensor '%s': rank %zu is above %d", value->name,
                         shape->n_dim, TARE_MAX_RANK);
    }
    value->rank = (int)shape->n_dim;
    for (size_t i = 0; i < shape->n_dim; i++) {
        const char *name = dim_name(shape->dim[i]);
        value->dims[i] = fixed_dim(shape->dim[i]);
        if (names && name != NULL && name[0] != '\0') {
            value->dim_names[i] = tare_arena_strdup(arena, name);
            if (value->dim_names[i] == NULL) {
                return tare_fail_memory(err, strlen(name), "the name of a dim");
            }
        }
    }
    return TARE_OK;
}

bool tare_onnx_types_record(tare_document *document, const tare_graph *graph) {
    tare_onnx_type *types = tare_arena_array(&document->arena, graph->value_count, sizeof *types);
    for (size_t i = 0; types != NULL && i < graph->value_count; i++) {
        const tare_value *value = graph->values[i];
        types[i].dtype = value->dtype;
        types[i].rank = value->rank;
        types[i].is_tensor_type = value->is_tensor_type;
        memcpy(types[i].dims, value->dims, sizeof value->dims);
    }
    document->types = types;
    document->value_count = graph->value_count;
    return types != NULL;
}

static tare_onnx_type type_of_info(const Tare__ValueInfoProto *info) {
    const Tare__TypeProto__Tensor *source = tensor_type(info);
    tare_onnx_type type = {.rank = -1, .is_tensor_type = source != NULL || info->type == NULL};

    if (source == NULL) {
        return type;
    }
    type.dtype = (tare_dtype)source->elem_type;
    if (source->shape != NULL && source->shape->n_dim <= TARE_MAX_RANK) {
        type.rank = (int)source->shape->n_dim;
        for (size_t i = 0; i < source->shape->n_dim; i++) {
            type.dims[i] = fixed_dim(source->shape->dim[i]);
        }
    }
    return type;
}

static bool agrees(const tare_value *value, const tare_onnx_type *type) {
    if (value->is_tensor_type != type->is_tensor_type) {
        return false;
    }
    if (value->dtype != TARE_DTYPE_UNDEFINED && type->dtype != TARE_DTYPE_UNDEFINED &&
        value->dtype != type->dtype) {
        return false;
    }
    if (type->rank < 0 || value->rank < 0) {
        return true;
    }
    for (int i = 0; i < type->rank && type->rank == value->rank; i++) {
        if (type->dims[i] >= 0 && type->dims[i] != value->dims[i]) {
            return false;
        }
    }
    return type->rank == value->rank;
}

bool tare_onnx_type_agrees(const tare_document *document, const tare_value *value,
                           const Tare__ValueInfoProto *info) {
    /* A file may contradict itself, say in value_info and outputs; that alone is no change. */
    if (value->id < document->value_count) {
        return agrees(value, &document->types[value->id]);
    }
    const tare_onnx_type type = type_of_info(info);
    return agrees(value, &type);
}

static bool write_dim(Tare__TensorShapeProto__Dimension *dim, tare_arena *arena, int64_t size,
                      const char *name) {
    tare__tensor_shape_proto__dimension__init(dim);
    if (size >= 0) {
        dim->value_case = TARE__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dim->dim_value = size;
    } else if (name != NULL) {
        dim->value_case = TARE__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        dim->dim_param = tare_arena_strdup(arena, name);
        return dim->dim_param != NULL;
    }
    return true;
}

static Tare__TensorShapeProto *write_shape(tare_arena *arena, const tare_value *value) {
    const size_t rank = (size_t)value->rank;
    Tare__TensorShapeProto *shape = tare_arena_alloc(arena, sizeof *shape);
    Tare__TensorShapeProto__Dimension *dims = tare_arena_array(arena, rank, sizeof *dims);
    Tare__TensorShapeProto__Dimension **list = tare_arena_array(arena, rank, sizeof(void *));

    if (shape == NULL || dims == NULL || list == NULL) {
        return NULL;
    }
    tare__tensor_shape_proto__init(shape);
    shape->n_dim = rank;
    shape->dim = list;
    for (size_t i = 0; i < rank; i++) {
        list[i] = &dims[i];
        if (!write_dim(list[i], arena, value->dims[i], value->dim_names[i])) {
            return NULL;
        }
    }
    return shape;
}

bool tare_onnx_type_write(Tare__ValueInfoProto *info, tare_arena *arena, const tare_value *value) {
    Tare__TypeProto *type = tare_arena_alloc(arena, sizeof *type);
    Tare__TypeProto__Tensor *tensor = tare_arena_alloc(arena, sizeof *tensor);

    if (type == NULL || tensor == NULL) {
        return false;
    }
    tare__type_proto__init(type);
    tare__type_proto__tensor__init(tensor);
    type->value_case = TARE__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = (int32_t)value->dtype;
    if (value->rank >= 0) {
        tensor->shape = write_shape(arena, value);
        if (tensor->shape == NULL) {
            return false;
        }
    }
    info->type = type;
    return true;
}
