// The loss of a row of logits, and its gradient.
#pragma once

#include "muonlab/kernels/row_passes_places_internal.h"

namespace muonlab::kernels {
namespace {

template <typename V, typename T>
float largest_of(std::size_t n, const T* x) {
  const V all = gathered<V>(
      n, V::set(-kInfinity), [=](auto at) { return at.load(x, -kInfinity); },
      [](V a, V b) { return V::max(a, b); });
  float lanes[kLanes];
  V::store(lanes, all);
  for (std::size_t k = 1; k < kLanes; ++k) {
    lanes[0] = lanes[k] > lanes[0] ? lanes[k] : lanes[0];
  }
  return lanes[0];
}

/// Of exp(x - largest). At most 16 values of a lane meet in float32; the rest
/// is added in float64.
template <typename V, typename T>
double sum_of_exponentials(std::size_t n, const T* x, float largest) {
  constexpr std::size_t kBlock = 1024;
  const V shift = V::set(largest);
  double lanes[kLanes] = {};
  for (std::size_t begin = 0; begin < n; begin += kBlock) {
    const T* block = x + begin;
    const std::size_t size = n - begin < kBlock ? n - begin : kBlock;
    const V sum = sums<V>(size, [=](auto at) {
      return exponential_below(at.load(block, -kInfinity) - shift);
    });
    float parts[kLanes];
    V::store(parts, sum);
    for (std::size_t k = 0; k < kLanes; ++k) {
      lanes[k] += static_cast<double>(parts[k]);
    }
  }
  for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
    for (std::size_t k = 0; k < width; ++k) lanes[k] += lanes[k + width];
  }
  return lanes[0];
}

template <typename V, typename T, typename D>
void cross_entropy(std::size_t rows, std::size_t vocabulary, ConstRawRows x,
                   const std::int64_t* targets, float scale, float* losses,
                   RawRows d) noexcept {
  for (std::size_t r = 0; r < rows; ++r) {
    const T* row = row_of<T>(x, r);
    const float largest = largest_of<V>(vocabulary, row);
    const double sum = sum_of_exponentials<V>(vocabulary, row, largest);
    const auto target = static_cast<std::size_t>(targets[r]);
    const double distance = static_cast<double>(largest) -
                            static_cast<double>(widened(row[target]));
    const double loss = __builtin_log(sum) + distance;
    losses[r] = static_cast<float>(loss);
    if (!d.data) continue;
    D* out = row_of<D>(d, r);
    const V shift = V::set(largest);
    const V factor =
        V::set(static_cast<float>(static_cast<double>(scale) / sum));
    // The exponentials again: to keep them costs more where they are rounded.
    each<V>(vocabulary, [=](auto at) {
      at.store(out, exponential_below(at.load(row) - shift) * factor);
    });
    // p - 1 without cancellation.
    put(out + target, static_cast<float>(static_cast<double>(scale) *
                                         __builtin_expm1(-loss)));
  }
}

}  // namespace
}  // namespace muonlab::kernels
