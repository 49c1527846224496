// What stands between the products of a feed-forward layer.
#pragma once

#include "muonlab/kernels/row_passes_places_internal.h"

namespace muonlab::kernels {
namespace {

/// f(x) and f'(x).
template <typename V>
struct Slope {
  V value;
  V slope;
};

template <typename V>
MUONLAB_INLINE V sigmoid(V x) {
  return V::set(1) / (V::set(1) + exponential(V::set(0) - x));
}

template <typename V>
struct Silu {
  MUONLAB_INLINE static V value(V x) { return x * sigmoid(x); }
  MUONLAB_INLINE static Slope<V> both(V x) {
    const V s = sigmoid(x);
    const V y = x * s;
    return {y, s + y * (V::set(1) - s)};
  }
};

/// 0.5 (1 + tanh(u)) is the sigmoid of 2u = x (a + b x^2).
template <typename V>
struct Gelu {
  static constexpr float kA = 1.5957691216057308F;   // 2 sqrt(2 / pi)
  static constexpr float kB = 0.07135481282740186F;  // 0.044715 a

  /// Bounded far out, where the sigmoid is 0 or 1, lest infinity meet a zero.
  MUONLAB_INLINE static V square(V x) { return V::min(V::set(1e4F), x * x); }
  MUONLAB_INLINE static V value(V x) {
    return x * sigmoid(x * (V::set(kA) + V::set(kB) * square(x)));
  }
  MUONLAB_INLINE static Slope<V> both(V x) {
    const V bend = V::set(kB) * square(x);
    const V s = sigmoid(x * (V::set(kA) + bend));
    const V y = x * s;
    const V steep = V::set(kA) + V::set(3) * bend;
    return {y, s + y * (V::set(1) - s) * steep};
  }
};

template <typename V>
struct Relu2 {
  MUONLAB_INLINE static V value(V x) {
    const V positive = V::max(V::set(0), x);
    return positive * positive;
  }
  MUONLAB_INLINE static Slope<V> both(V x) {
    const V positive = V::max(V::set(0), x);
    return {positive * positive, positive + positive};
  }
};

template <typename F, typename V, typename T, typename Y>
void activate_rows(bool gated, std::size_t rows, std::size_t n, ConstRawRows x,
                   RawRows y) {
  for (std::size_t r = 0; r < rows; ++r) {
    const T* gate = row_of<T>(x, r);
    Y* out = row_of<Y>(y, r);
    if (gated) {
      each<V>(n, [=](auto at) {
        at.store(out, F::value(at.load(gate)) * at.load(gate + n));
      });
    } else {
      each<V>(n, [=](auto at) { at.store(out, F::value(at.load(gate))); });
    }
  }
}

template <typename F, typename V, typename T, typename D>
void activate_rows_backward(bool gated, std::size_t rows, std::size_t n,
                            RawRows x, RawRows d) {
  for (std::size_t r = 0; r < rows; ++r) {
    T* gate = row_of<T>(x, r);
    D* in = row_of<D>(d, r);
    if (gated) {
      each<V>(n, [=](auto at) {
        const Slope<V> f = F::both(at.load(gate));
        const V up = at.load(gate + n);
        const V dy = at.load(in);
        at.store(gate, dy * up * f.slope);
        at.store(gate + n, dy * f.value);
        at.store(in, f.value * up);
      });
    } else {
      each<V>(n, [=](auto at) {
        const Slope<V> f = F::both(at.load(gate));
        at.store(gate, at.load(in) * f.slope);
        at.store(in, f.value);
      });
    }
  }
}

template <typename V, typename T, typename Y>
void activate(Activation activation, std::size_t rows, std::size_t hidden,
              ConstRawRows x, RawRows y) noexcept {
  switch (activation) {
    case Activation::kSilu:
      return activate_rows<Silu<V>, V, T, Y>(false, rows, hidden, x, y);
    case Activation::kGelu:
      return activate_rows<Gelu<V>, V, T, Y>(false, rows, hidden, x, y);
    case Activation::kRelu2:
      return activate_rows<Relu2<V>, V, T, Y>(false, rows, hidden, x, y);
    case Activation::kSwiGlu:
      return activate_rows<Silu<V>, V, T, Y>(true, rows, hidden, x, y);
    case Activation::kGeGlu:
      return activate_rows<Gelu<V>, V, T, Y>(true, rows, hidden, x, y);
  }
}

template <typename V, typename T, typename D>
void activate_backward(Activation activation, std::size_t rows,
                       std::size_t hidden, RawRows x, RawRows d) noexcept {
  switch (activation) {
    case Activation::kSilu:
      return activate_rows_backward<Silu<V>, V, T, D>(false, rows, hidden, x,
                                                      d);
    case Activation::kGelu:
      return activate_rows_backward<Gelu<V>, V, T, D>(false, rows, hidden, x,
                                                      d);
    case Activation::kRelu2:
      return activate_rows_backward<Relu2<V>, V, T, D>(false, rows, hidden, x,
                                                       d);
    case Activation::kSwiGlu:
      return activate_rows_backward<Silu<V>, V, T, D>(true, rows, hidden, x, d);
    case Activation::kGeGlu:
      return activate_rows_backward<Gelu<V>, V, T, D>(true, rows, hidden, x, d);
  }
}

}  // namespace
}  // namespace muonlab::kernels
