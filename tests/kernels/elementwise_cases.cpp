#include "tests/kernels/elementwise_cases.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "muonlab/kernels/elementwise.h"

namespace muonlab::kernels {

namespace {

using testing::Rounded;
using Values = std::span<Rounded>;
using Arrays = std::span<float* const>;

constexpr Coupling kPlain{.keep = 0.99F, .step = 0.02F};
constexpr Coupling kCautious{.keep = 0.9F, .step = 0.02F, .cautious = true};
constexpr GradientTerm kWithL2{.scale = 0.3F, .l2 = 0.1F};

Rounded gradient(Rounded g, Rounded w, const GradientTerm& term) {
  const Rounded scaled = Rounded(term.scale) * g;
  return term.l2 == 0 ? scaled : scaled + Rounded(term.l2) * w;
}

Rounded moved(Rounded w, Rounded u, Rounded update, const Coupling& c) {
  Rounded keep = c.keep;
  if (c.cautious) {
    const Rounded product = u * w;
    const bool exact_zero = product.value == 0 && u.error == 0;
    if (!product.has_sure_sign() && !exact_zero) {
      keep.error = 1 - c.keep;
    } else if (product.value < 0) {
      keep = 1;
    }
  }
  return keep * w - update;
}

Rounded moved(Rounded w, Rounded u, const Coupling& c) {
  return moved(w, u, Rounded(c.step) * u, c);
}

// from + share (to - from), computed from the nearer end.
Rounded lerp(Rounded from, Rounded to, double share, double rest) {
  return share < 0.5 ? from + Rounded(share) * (to - from)
                     : to - Rounded(rest) * (to - from);
}

ElementwiseCase adam_case(const std::string& name, AdamScalars s) {
  const auto run = [s](Arrays a, std::size_t n, SimdLevel level) {
    adam_step(a[0], a[1], a[2], a[3], n, s, level);
  };
  const auto reference = [s](Values a) {
    const Rounded g = gradient(a[1], a[0], s.gradient);
    a[2] = lerp(a[2], g, s.one_minus_beta1, s.beta1);
    a[3] = Rounded(s.beta2) * a[3] + Rounded(s.one_minus_beta2) * g * g;
    const Rounded root = testing::root(a[3]) / Rounded(s.root_correction);
    const Rounded update =
        Rounded(s.coupling.step) * a[2] / (root + Rounded(s.eps));
    a[0] = moved(a[0], update, update, s.coupling);
  };
  return {"adam " + name, 4, 3, run, reference};
}

ElementwiseCase lion_case(const std::string& name, LionScalars s) {
  const auto run = [s](Arrays a, std::size_t n, SimdLevel level) {
    lion_step(a[0], a[1], a[2], n, s, level);
  };
  const auto reference = [s](Values a) {
    const Rounded g = gradient(a[1], a[0], s.gradient);
    const Rounded u =
        testing::sign(Rounded(s.beta1) * a[2] + Rounded(s.one_minus_beta1) * g);
    a[2] = Rounded(s.beta2) * a[2] + Rounded(s.one_minus_beta2) * g;
    a[0] = moved(a[0], u, s.coupling);
  };
  return {"lion " + name, 3, 3, run, reference};
}

ElementwiseCase sgd_case(const std::string& name, SgdScalars s) {
  const auto run = [s](Arrays a, std::size_t n, SimdLevel level) {
    sgd_step(a[0], a[1], a[2], n, s, level);
  };
  const auto reference = [s](Values a) {
    const Rounded g = gradient(a[1], a[0], s.gradient);
    a[2] = Rounded(s.momentum) * a[2] + g;
    const Rounded u = s.nesterov ? g + Rounded(s.momentum) * a[2] : a[2];
    a[0] = moved(a[0], u, s.coupling);
  };
  return {"sgd " + name, 3, 3, run, reference};
}

ElementwiseCase signum_case(const std::string& name, SignumScalars s) {
  const auto run = [s](Arrays a, std::size_t n, SimdLevel level) {
    signum_step(a[0], a[1], a[2], n, s, level);
  };
  const auto reference = [s](Values a) {
    const Rounded g = gradient(a[1], a[0], s.gradient);
    a[2] = Rounded(s.momentum) * a[2] + Rounded(s.one_minus_momentum) * g;
    a[0] = moved(a[0], testing::sign(a[2]), s.coupling);
  };
  return {"signum " + name, 3, 3, run, reference};
}

// Arrays: weight, gradient, buffer, direction.
ElementwiseCase momentum_case(const std::string& name, MomentumScalars s) {
  const auto run = [s](Arrays a, std::size_t n, SimdLevel level) {
    momentum_rows(a[1], a[0], a[2], a[3], n, s, level);
  };
  const auto reference = [s](Values a) {
    const Rounded g = gradient(a[1], a[0], s.gradient);
    const double b = s.momentum;
    const double rest = s.one_minus_momentum;
    Rounded d;
    if (s.kind == MomentumKind::kHeavyBall) {
      a[2] = Rounded(b) * a[2] + g;
      d = s.nesterov ? g + Rounded(b) * a[2] : a[2];
    } else {
      a[2] = lerp(a[2], g, rest, b);
      if (s.kind == MomentumKind::kEma) {
        d = s.nesterov ? lerp(g, a[2], b, rest) : a[2];
      } else if (s.nesterov) {
        d = Rounded(s.buffer_share) * a[2] + Rounded(s.gradient_share) * g;
      } else {
        d = a[2] / Rounded(s.correction);
      }
    }
    a[3] = s.sign ? testing::sign(d) : d;
  };
  return {"momentum " + name, 4, 4, run, reference};
}

ElementwiseCase apply_case(const std::string& name, Coupling c) {
  const auto run = [c](Arrays a, std::size_t n, SimdLevel level) {
    apply_rows(a[0], a[1], n, c, level);
  };
  const auto reference = [c](Values a) { a[0] = moved(a[0], a[1], c); };
  return {"apply " + name, 2, 2, run, reference};
}

constexpr SecondMomentScalars kSecond{
    .beta = 0.95F, .one_minus_beta = 0.05F, .eps = 1e-8F};

Rounded divided(Rounded o, Rounded& v) {
  v = Rounded(kSecond.beta) * v + Rounded(kSecond.one_minus_beta) * o * o;
  return o / (testing::root(v) + Rounded(kSecond.eps));
}

ElementwiseCase second_moment_case(const std::string& name, Coupling c) {
  const auto run = [c](Arrays a, std::size_t n, SimdLevel level) {
    second_moment_apply(a[0], a[1], a[2], n, kSecond, c, level);
  };
  const auto reference = [c](Values a) {
    a[0] = moved(a[0], divided(a[1], a[2]), c);
  };
  return {"second moment " + name, 3, 2, run, reference};
}

ElementwiseCase divide_case() {
  const auto run = [](Arrays a, std::size_t n, SimdLevel level) {
    (void)second_moment_divide(a[0], a[1], n, kSecond, level);
  };
  const auto reference = [](Values a) { a[0] = divided(a[0], a[1]); };
  return {"second moment divide", 2, 1, run, reference};
}

std::vector<ElementwiseCase> adam_cases() {
  const AdamScalars base{.beta1 = 0.9F,
                         .one_minus_beta1 = 0.1F,
                         .beta2 = 0.95F,
                         .one_minus_beta2 = 0.05F,
                         .root_correction = 0.4F,
                         .eps = 1e-8F,
                         .coupling = kPlain};
  AdamScalars no_memory = base;
  no_memory.beta1 = 0;
  no_memory.one_minus_beta1 = 1;
  AdamScalars far = base;
  far.beta1 = 0.3F;
  far.one_minus_beta1 = 0.7F;
  AdamScalars eps_inside = base;
  eps_inside.root_correction = 1;
  AdamScalars l2 = base;
  l2.gradient = kWithL2;
  l2.coupling.keep = 1;
  AdamScalars cautious = base;
  cautious.coupling = kCautious;
  return {adam_case("decoupled", base), adam_case("beta1 0", no_memory),
          adam_case("beta1 0.3", far),  adam_case("eps inside", eps_inside),
          adam_case("l2", l2),          adam_case("cautious", cautious)};
}

std::vector<ElementwiseCase> momentum_cases() {
  std::vector<ElementwiseCase> cases;
  for (const auto& [kind, name] :
       {std::pair{MomentumKind::kHeavyBall, "heavy ball"},
        {MomentumKind::kEma, "ema"},
        {MomentumKind::kBiasCorrected, "bias corrected"}}) {
    for (const bool nesterov : {false, true}) {
      for (const float b : {0.95F, 0.25F, 0.F}) {
        const MomentumScalars s{.kind = kind,
                                .nesterov = nesterov,
                                .momentum = b,
                                .one_minus_momentum = 1 - b,
                                .correction = 1 - b * b,
                                .buffer_share = b / (1 - b * b * b),
                                .gradient_share = (1 - b) / (1 - b * b)};
        cases.push_back(momentum_case(std::string(name) +
                                          (nesterov ? ", nesterov, " : ", ") +
                                          std::to_string(b),
                                      s));
      }
    }
  }
  MomentumScalars sign{.sign = true,
                       .momentum = 0.9F,
                       .one_minus_momentum = 0.1F,
                       .gradient = {.scale = 0.5F}};
  cases.push_back(momentum_case("sign", sign));
  sign.sign = false;
  sign.gradient = kWithL2;
  cases.push_back(momentum_case("l2", sign));
  return cases;
}

std::vector<ElementwiseCase> all_cases() {
  std::vector<ElementwiseCase> cases = adam_cases();
  std::ranges::copy(momentum_cases(), std::back_inserter(cases));
  LionScalars lion{.beta1 = 0.9F,
                   .one_minus_beta1 = 0.1F,
                   .beta2 = 0.99F,
                   .one_minus_beta2 = 0.01F,
                   .coupling = kPlain};
  cases.push_back(lion_case("decoupled", lion));
  lion.coupling = kCautious;
  lion.gradient = kWithL2;
  cases.push_back(lion_case("cautious, l2", lion));
  SgdScalars sgd{.momentum = 0.9F, .coupling = kPlain};
  cases.push_back(sgd_case("heavy ball", sgd));
  sgd.nesterov = true;
  sgd.gradient = kWithL2;
  cases.push_back(sgd_case("nesterov, l2", sgd));
  sgd.coupling = kCautious;
  cases.push_back(sgd_case("nesterov, l2, cautious", sgd));
  SignumScalars signum{
      .momentum = 0.9F, .one_minus_momentum = 0.1F, .coupling = kPlain};
  cases.push_back(signum_case("decoupled", signum));
  signum.coupling = kCautious;
  cases.push_back(signum_case("cautious", signum));
  cases.push_back(apply_case("plain", kPlain));
  cases.push_back(apply_case("cautious", kCautious));
  cases.push_back(second_moment_case("plain", kPlain));
  cases.push_back(second_moment_case("cautious", kCautious));
  cases.push_back(divide_case());
  return cases;
}

}  // namespace

const std::vector<ElementwiseCase>& elementwise_cases() {
  static const std::vector<ElementwiseCase> kCases = all_cases();
  return kCases;
}

}  // namespace muonlab::kernels
