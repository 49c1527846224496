// The formulas of the element-wise kernels, once for all levels: the order of
// the operations is the contract, since all levels give the same bits.
//
// A level is a type Loop with run(n, op), which calls op with a place for every
// group of values, and summarise(). A place loads, stores and holds what the
// operators +, -, * and / lack. Nothing is prefetched by hand and all stores
// are ordinary: prefetching 2 KiB ahead was 10 % slower on 100 million values,
// and stores past the cache lose in updates in place. All of this is in the
// unnamed namespace, so each level file has copies of its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "muonlab/kernels/elementwise_table_internal.h"

namespace muonlab::kernels {
namespace {

// One value: the scalar level, and the tails where there are no masks.
struct One {
  std::size_t i;

  float load(const float* p) const { return p[i]; }
  void store(float* p, float x) const { p[i] = x; }
  static float set(float x) { return x; }
  static float root(float x) { return __builtin_sqrtf(x); }
  static float sign(float x) {
    return static_cast<float>(x > 0) - static_cast<float>(x < 0);
  }
  static float if_not_negative(float x, float yes, float no) {
    return x >= 0 ? yes : no;
  }
};

// Lane 0 to 15, added as a tree of fixed shape.
[[maybe_unused]] double fold(double* lanes) {
  for (std::size_t width = 8; width > 0; width /= 2) {
    for (std::size_t j = 0; j < width; ++j) lanes[j] += lanes[j + width];
  }
  return lanes[0];
}

[[maybe_unused]] std::uint32_t magnitude_bits(float x) {
  return __builtin_bit_cast(std::uint32_t, x) & 0x7fffffffU;
}

// Squares of float32 are exact in float64, fused or not. Adds the values from
// `begin` on.
[[maybe_unused]] ChunkSummary finish(const float* x, std::size_t begin,
                                     std::size_t n, double* lanes,
                                     std::uint32_t largest) {
  for (std::size_t i = begin; i < n; ++i) {
    const double value = x[i];
    lanes[i % 16] += value * value;
    const std::uint32_t bits = magnitude_bits(x[i]);
    largest = bits > largest ? bits : largest;
  }
  return {fold(lanes), largest};
}

// from + share (to - from), from the nearer end: share 1 gives `to` itself.
// LibTorch's lerp does the same.
template <typename At, typename V>
V lerp(At, V from, V to, float share, float rest) {
  return share < 0.5F ? from + At::set(share) * (to - from)
                      : to - At::set(rest) * (to - from);
}

template <typename At, typename V>
V with_term(At, V gradient, V weight, const GradientTerm& term) {
  V scaled = At::set(term.scale) * gradient;
  // Not with l2 = 0: a weight of infinity would make a NaN.
  if (term.l2 != 0) scaled = scaled + At::set(term.l2) * weight;
  return scaled;
}

template <typename At, typename V>
V squared_ema(At, V old, V x, float beta, float one_minus_beta) {
  return At::set(beta) * old + At::set(one_minus_beta) * x * x;
}

// `update` is `step` times the direction; its sign decides.
template <typename At, typename V>
V moved(At, V weight, V direction, V update, const Coupling& c) {
  V keep = At::set(c.keep);
  if (c.cautious) {
    keep = At::if_not_negative(direction * weight, keep, At::set(1));
  }
  return keep * weight - update;
}

template <typename At, typename V>
V moved(At at, V weight, V direction, const Coupling& c) {
  return moved(at, weight, direction, At::set(c.step) * direction, c);
}

// The scalars are copied everywhere: through a reference, each store to a float
// could change them.

template <typename Loop>
void adam(float* w, const float* g, float* m, float* v, std::size_t n,
          const AdamScalars& scalars) noexcept {
  Loop::run(n, [=, s = scalars](auto at) {
    const auto weight = at.load(w);
    const auto gradient = with_term(at, at.load(g), weight, s.gradient);
    const auto first =
        lerp(at, at.load(m), gradient, s.one_minus_beta1, s.beta1);
    const auto second =
        squared_ema(at, at.load(v), gradient, s.beta2, s.one_minus_beta2);
    const auto root = at.root(second) / at.set(s.root_correction);
    const auto update =
        at.set(s.coupling.step) * first / (root + at.set(s.eps));
    at.store(m, first);
    at.store(v, second);
    at.store(w, moved(at, weight, update, update, s.coupling));
  });
}

template <typename Loop>
void lion(float* w, const float* g, float* m, std::size_t n,
          const LionScalars& scalars) noexcept {
  Loop::run(n, [=, s = scalars](auto at) {
    const auto weight = at.load(w);
    const auto gradient = with_term(at, at.load(g), weight, s.gradient);
    const auto old = at.load(m);
    const auto direction =
        at.sign(at.set(s.beta1) * old + at.set(s.one_minus_beta1) * gradient);
    at.store(m, at.set(s.beta2) * old + at.set(s.one_minus_beta2) * gradient);
    at.store(w, moved(at, weight, direction, s.coupling));
  });
}

template <typename Loop>
void sgd(float* w, const float* g, float* m, std::size_t n,
         const SgdScalars& scalars) noexcept {
  Loop::run(n, [=, s = scalars](auto at) {
    const auto weight = at.load(w);
    const auto gradient = with_term(at, at.load(g), weight, s.gradient);
    const auto buffer = at.set(s.momentum) * at.load(m) + gradient;
    auto direction = buffer;
    if (s.nesterov) direction = gradient + at.set(s.momentum) * buffer;
    at.store(m, buffer);
    at.store(w, moved(at, weight, direction, s.coupling));
  });
}

template <typename Loop>
void signum(float* w, const float* g, float* m, std::size_t n,
            const SignumScalars& scalars) noexcept {
  Loop::run(n, [=, s = scalars](auto at) {
    const auto weight = at.load(w);
    const auto gradient = with_term(at, at.load(g), weight, s.gradient);
    const auto buffer = at.set(s.momentum) * at.load(m) +
                        at.set(s.one_minus_momentum) * gradient;
    at.store(m, buffer);
    at.store(w, moved(at, weight, at.sign(buffer), s.coupling));
  });
}

template <typename At, typename V>
V nesterov_direction(At at, V gradient, V buffer, const MomentumScalars& s) {
  switch (s.kind) {
    case MomentumKind::kHeavyBall:
      return gradient + at.set(s.momentum) * buffer;
    case MomentumKind::kEma:
      return lerp(at, gradient, buffer, s.momentum, s.one_minus_momentum);
    case MomentumKind::kBiasCorrected:
      break;
  }
  return at.set(s.buffer_share) * buffer + at.set(s.gradient_share) * gradient;
}

template <typename Loop>
void momentum(const float* g, const float* w, float* buffer, float* direction,
              std::size_t n, const MomentumScalars& scalars) noexcept {
  Loop::run(n, [=, s = scalars](auto at) {
    auto gradient = at.set(s.gradient.scale) * at.load(g);
    if (s.gradient.l2 != 0) {
      gradient = gradient + at.set(s.gradient.l2) * at.load(w);
    }
    auto b = at.load(buffer);
    b = s.kind == MomentumKind::kHeavyBall
            ? at.set(s.momentum) * b + gradient
            : lerp(at, b, gradient, s.one_minus_momentum, s.momentum);
    auto d = b;
    if (s.nesterov) {
      d = nesterov_direction(at, gradient, b, s);
    } else if (s.kind == MomentumKind::kBiasCorrected) {
      d = b / at.set(s.correction);
    }
    at.store(buffer, b);
    at.store(direction, s.sign ? at.sign(d) : d);
  });
}

template <typename Loop>
void apply(float* w, const float* o, std::size_t n,
           const Coupling& coupling) noexcept {
  Loop::run(n, [=, c = coupling](auto at) {
    at.store(w, moved(at, at.load(w), at.load(o), c));
  });
}

template <typename At>
auto divided(At at, const float* o, float* v, const SecondMomentScalars& s) {
  const auto x = at.load(o);
  const auto second = squared_ema(at, at.load(v), x, s.beta, s.one_minus_beta);
  at.store(v, second);
  return x / (at.root(second) + at.set(s.eps));
}

template <typename Loop>
void second_moment_apply(float* w, const float* o, float* v, std::size_t n,
                         const SecondMomentScalars& scalars,
                         const Coupling& coupling) noexcept {
  Loop::run(n, [=, s = scalars, c = coupling](auto at) {
    at.store(w, moved(at, at.load(w), divided(at, o, v, s), c));
  });
}

template <typename Loop>
void second_moment_divide(float* o, float* v, std::size_t n,
                          const SecondMomentScalars& scalars) noexcept {
  Loop::run(n,
            [=, s = scalars](auto at) { at.store(o, divided(at, o, v, s)); });
}

template <typename Loop>
constexpr ElementwiseTable table_of() {
  return {.adam = adam<Loop>,
          .lion = lion<Loop>,
          .sgd = sgd<Loop>,
          .signum = signum<Loop>,
          .momentum = momentum<Loop>,
          .apply = apply<Loop>,
          .second_moment_apply = second_moment_apply<Loop>,
          .second_moment_divide = second_moment_divide<Loop>,
          .summarise = Loop::summarise};
}

}  // namespace
}  // namespace muonlab::kernels
