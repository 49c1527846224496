// RMSNorm, and what happens to the heads of queries and keys.
#pragma once

#include "muonlab/kernels/row_passes_places_internal.h"

namespace muonlab::kernels {
namespace {

[[maybe_unused]] float inverse_of(float mean, float eps) {
  return 1 / __builtin_sqrtf(mean + eps);
}

template <typename V, typename T>
void norm_row(std::size_t n, const float* x, const float* gain, float inverse,
              T* y) {
  each<V>(n, [=, scale = V::set(inverse)](auto at) {
    at.store(y, at.load(x) * scale * at.load(gain));
  });
}

template <typename V, typename T>
void rms_norm(std::size_t rows, std::size_t features, const float* x,
              std::size_t x_stride, const float* gain, float eps, RawRows y,
              float* inverse) noexcept {
  for (std::size_t r = 0; r < rows; ++r) {
    const float* row = x + r * x_stride;
    const float scale = inverse_of(mean_of_squares<V>(features, row), eps);
    if (inverse) inverse[r] = scale;
    norm_row<V>(features, row, gain, scale, row_of<T>(y, r));
  }
}

template <typename V, typename T>
void rms_norm_again(std::size_t rows, std::size_t features, const float* x,
                    std::size_t x_stride, const float* gain,
                    const float* inverse, RawRows y) noexcept {
  for (std::size_t r = 0; r < rows; ++r) {
    norm_row<V>(features, x + r * x_stride, gain, inverse[r], row_of<T>(y, r));
  }
}

template <typename V, typename T, typename C>
void rms_norm_backward(std::size_t rows, std::size_t features, ConstRawRows dy,
                       const float* x, std::size_t x_stride, const float* gain,
                       const float* inverse, float* dx, std::size_t dx_stride,
                       RawRows copy, float* dgain) noexcept {
  for (std::size_t r = 0; r < rows; ++r) {
    const T* d = row_of<T>(dy, r);
    const float* row = x + r * x_stride;
    float* out = dx + r * dx_stride;
    C* narrow = copy.data ? row_of<C>(copy, r) : nullptr;
    const V scale = V::set(inverse[r]);
    const V sum = sums<V>(features, [=](auto at) {
      const V u = at.load(row) * scale;
      const V gradient = at.load(d);
      at.store(dgain, at.load(dgain) + gradient * u);
      return gradient * at.load(gain) * u;
    });
    const V mean = V::set(V::sum(sum) / static_cast<float>(features));
    each<V>(features, [=](auto at) {
      const V u = at.load(row) * scale;
      const V h = at.load(d) * at.load(gain);
      const V result = at.load(out) + scale * (h - u * mean);
      at.store(out, result);
      if (narrow) at.store(narrow, result);
    });
  }
}

/// Of row r in the tables of cosines and sines.
[[maybe_unused]] std::size_t rotation_of(const HeadPass& pass, std::size_t r) {
  if (!pass.cosine) return 0;
  return (pass.first_position + r) % pass.context * (pass.features / 2);
}

template <typename V, typename T>
void prepare_heads(std::size_t rows, const HeadPass& pass, RawRows x,
                   float* inverse) noexcept {
  const std::size_t n = pass.features;
  for (std::size_t r = 0; r < rows; ++r) {
    const float* cosine = pass.cosine + rotation_of(pass, r);
    const float* sine = pass.sine + rotation_of(pass, r);
    for (std::size_t h = 0; h < pass.heads; ++h) {
      T* low = row_of<T>(x, r) + h * n;
      float factor = 1;
      if (pass.norm) {
        factor = inverse_of(mean_of_squares<V>(n, low), pass.eps);
        inverse[r * pass.heads + h] = factor;
      }
      const V scale = V::set(factor);
      if (!pass.cosine) {
        if (pass.norm) {
          each<V>(n, [=](auto at) { at.store(low, at.load(low) * scale); });
        }
        continue;
      }
      T* high = low + n / 2;
      each<V>(n / 2, [=](auto at) {
        const V first = at.load(low) * scale;
        const V second = at.load(high) * scale;
        const V c = at.load(cosine);
        const V s = at.load(sine);
        at.store(low, first * c - second * s);
        at.store(high, second * c + first * s);
      });
    }
  }
}

template <typename V, typename T, typename D>
void prepare_heads_backward(std::size_t rows, const HeadPass& pass,
                            ConstRawRows y, const float* inverse,
                            RawRows d) noexcept {
  const std::size_t n = pass.features;
  for (std::size_t r = 0; r < rows; ++r) {
    const float* cosine = pass.cosine + rotation_of(pass, r);
    const float* sine = pass.sine + rotation_of(pass, r);
    for (std::size_t h = 0; h < pass.heads; ++h) {
      D* low = row_of<D>(d, r) + h * n;
      const T* left = pass.norm ? row_of<T>(y, r) + h * n : nullptr;
      V scale = V::set(1);
      V mean = V::set(0);
      if (pass.norm) {
        scale = V::set(inverse[r * pass.heads + h]);
        // A rotation keeps the product, so it need not be undone first.
        const V sum =
            sums<V>(n, [=](auto at) { return at.load(low) * at.load(left); });
        mean = V::set(V::sum(sum) / static_cast<float>(n));
      }
      if (!pass.cosine) {
        if (!pass.norm) continue;
        each<V>(n, [=](auto at) {
          at.store(low, scale * (at.load(low) - at.load(left) * mean));
        });
        continue;
      }
      D* high = low + n / 2;
      each<V>(n / 2, [=, norm = pass.norm](auto at) {
        const V c = at.load(cosine);
        const V s = at.load(sine);
        V first = at.load(low);
        V second = at.load(high);
        if (norm) {
          // The same rotation back for both terms.
          first = scale * (first - at.load(left) * mean);
          second = scale * (second - at.load(left + n / 2) * mean);
        }
        at.store(low, first * c + second * s);
        at.store(high, second * c - first * s);
      });
    }
  }
}

}  // namespace
}  // namespace muonlab::kernels
