// Conversion, and the gradient of an embedding.
#pragma once

#include "muonlab/kernels/row_passes_places_internal.h"

namespace muonlab::kernels {
namespace {

template <typename V, typename F, typename T>
void convert(std::size_t rows, std::size_t columns, ConstRawRows from,
             RawRows to) noexcept {
  for (std::size_t r = 0; r < rows; ++r) {
    const F* in = row_of<F>(from, r);
    T* out = row_of<T>(to, r);
    each<V>(columns, [=](auto at) { at.store(out, at.load(in)); });
  }
}

template <typename V>
void add_rows_at(std::size_t rows, std::size_t columns, const float* from,
                 std::size_t from_stride, const std::int64_t* index,
                 std::int64_t begin, std::int64_t end, float* table,
                 std::size_t stride) noexcept {
  for (std::size_t r = 0; r < rows; ++r) {
    if (index[r] < begin || index[r] >= end) continue;
    const float* in = from + r * from_stride;
    float* out = table + static_cast<std::size_t>(index[r]) * stride;
    each<V>(columns,
            [=](auto at) { at.store(out, at.load(out) + at.load(in)); });
  }
}

}  // namespace
}  // namespace muonlab::kernels
