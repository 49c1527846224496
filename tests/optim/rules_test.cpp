// The update rules, through the optimizer, against golden values and the
// float64 reference.
#include <torch/torch.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/route.h"
#include "tests/optim/parameters_module.h"
#include "tests/reference/rules.h"
#include "tests/support/tensors.h"

namespace muonlab::optim {
namespace {

using testing::close;
using testing::Parameters;
using testing::random_tensor;
using testing::same_bits;
using testing::set_gradient;

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr double kKellerSlope = 3.4445;
constexpr double kPrinted = 1e-10;  // ten digits after the point

at::Tensor golden_weight() {
  return torch::tensor({{.5, -.25}, {.125, -.75}, {1., .3}}, torch::kDouble);
}

std::array<at::Tensor, 3> golden_gradients() {
  return {torch::tensor({{.1, -.2}, {.3, .4}, {-.5, .6}}, torch::kDouble),
          torch::tensor({{-.06, .1}, {.05, -.24}, {.2, -.4}}, torch::kDouble),
          torch::tensor({{.2, -.4}, {.6, -.8}, {1., -1.2}}, torch::kDouble)};
}

at::Tensor after_golden_steps(GroupOptions options) {
  options.lr(0.02).weight_decay(0.1);
  Parameters module;
  const at::Tensor weight = module.add("w", golden_weight());
  Optimizer optimizer(route(module, options));
  for (const at::Tensor& gradient : golden_gradients()) {
    set_gradient(weight, gradient);
    optimizer.step();
  }
  return weight.detach();
}

GroupOptions with_polar(const GroupOptions& options,
                        const PolarOptions& polar) {
  auto rule = std::get<MatrixRule>(options.update());
  rule.polar = polar;
  return GroupOptions(rule, options.lr(), options.weight_decay());
}

TEST(Golden, AdamW) {
  EXPECT_TRUE(close(after_golden_steps(adamw()),
                    torch::tensor({{.4608856691, -.2102513670},
                                   {.0718883575, -.7598581684},
                                   {1.0123006295, .2850537595}},
                                  torch::kDouble),
                    kPrinted));
}

TEST(Golden, Muon) {
  EXPECT_TRUE(close(after_golden_steps(muon()),
                    torch::tensor({{.5025486509, -.2331161085},
                                   {.0712448968, -.7513730374},
                                   {1.0075647184, .3123036285}},
                                  torch::kDouble),
                    kPrinted));
}

TEST(Golden, MuonWithTheExactPolarFactor) {
  EXPECT_TRUE(close(
      after_golden_steps(with_polar(muon(), {.method = PolarMethod::kSvd})),
      torch::tensor({{.5049844401, -.2277550529},
                     {.0617629892, -.7556830178},
                     {1.0103094247, .3240628320}},
                    torch::kDouble),
      kPrinted));
}

TEST(Golden, MuonW) {
  EXPECT_TRUE(close(after_golden_steps(muonw()),
                    torch::tensor({{.4985736936, -.2441509419},
                                   {.1092590959, -.7471676130},
                                   {.9978452536, .3021917272}},
                                  torch::kDouble),
                    kPrinted));
}

TEST(Golden, HeavyBallWithoutNesterovUnderTheSpectralScale) {
  MatrixRule rule{.name = "dion",
                  .momentum_form = MomentumForm::kHeavyBall,
                  .nesterov = false,
                  .scale = Scale::kSpectral};
  EXPECT_TRUE(close(after_golden_steps(GroupOptions(rule)),
                    torch::tensor({{.4985368145, -.2228506088},
                                   {.0753912401, -.7767863756},
                                   {1.0204688818, .2844204032}},
                                  torch::kDouble),
                    kPrinted));
}

struct Case {
  MomentumForm form;
  bool nesterov;
  Scale scale;
  double decay;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const MomentumForm form :
       {MomentumForm::kEma, MomentumForm::kHeavyBall}) {
    for (const bool nesterov : {false, true}) {
      for (const Scale scale :
           {Scale::kUnit, Scale::kAspect, Scale::kSpectral, Scale::kMatchRms}) {
        for (const double decay : {0.0, 0.3}) {
          cases.push_back({form, nesterov, scale, decay});
        }
      }
    }
  }
  return cases;
}

std::string case_name(const Case& c) {
  return std::string(c.form == MomentumForm::kEma ? "Ema" : "HeavyBall") +
         (c.nesterov ? "Nesterov" : "Plain") +
         std::string(scale_name(c.scale)) + (c.decay > 0 ? "Decayed" : "Free");
}

void PrintTo(const Case& c, std::ostream* out) { *out << case_name(c); }

class MatrixRuleSweep : public ::testing::TestWithParam<Case> {};

struct Shaped {
  std::vector<std::int64_t> shape;
  std::vector<RowBlock> blocks;
};

std::vector<Shaped> shapes() {
  return {{{8, 3}, {}},
          {{3, 8}, {}},
          {{5, 5}, {}},
          {{12, 4}, {{"query", 4}, {"key", 2}, {"value", 6}}},
          {{4, 3, 2, 2}, {}}};
}

TEST_P(MatrixRuleSweep, FollowsTheReferenceForTwentySteps) {
  const Case& c = GetParam();
  constexpr int kSteps = 20;
  constexpr double kLr = 0.05;
  const MatrixRule rule{.name = "case",
                        .momentum_form = c.form,
                        .momentum = 0.9,
                        .nesterov = c.nesterov,
                        .scale = c.scale};
  const reference::MuonSettings settings{
      .heavy_ball = c.form == MomentumForm::kHeavyBall,
      .beta = 0.9,
      .nesterov = c.nesterov,
      .length = static_cast<reference::Length>(static_cast<int>(c.scale)),
      .lr = kLr,
      .decay = c.decay};
  Parameters module;
  std::vector<at::Tensor> weights;
  std::vector<reference::Matrix> expected;
  std::vector<reference::Matrix> buffers;
  const auto shaped = shapes();
  for (std::size_t i = 0; i < shaped.size(); ++i) {
    weights.push_back(module.add("w" + std::to_string(i),
                                 random_tensor(shaped[i].shape, 100 + i),
                                 Role::kMatrix, shaped[i].blocks));
    expected.push_back(testing::to_matrix(weights.back()));
    buffers.emplace_back(expected.back().rows, expected.back().columns);
  }
  Optimizer optimizer(route(module, GroupOptions(rule, kLr, c.decay)));
  for (std::uint64_t step = 0; step < kSteps; ++step) {
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const at::Tensor gradient =
          random_tensor(shaped[i].shape, 1000 * (step + 1) + i);
      set_gradient(weights[i], gradient);
      std::vector<std::size_t> rows;
      for (const RowBlock& block : shaped[i].blocks) {
        rows.push_back(static_cast<std::size_t>(block.rows));
      }
      reference::muon_step(expected[i], testing::to_matrix(gradient),
                           buffers[i], settings, rows);
    }
    optimizer.step();
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    // Every step adds the rounding of one polar factor (twice, because the
    // momentum was rounded before it) times the rate; scales are below 2.
    const double bound = kSteps * kLr * 2 * 2 *
                         testing::newton_schulz_bound(
                             kKellerSlope, 5, weights[i].size(0),
                             weights[i].numel() / weights[i].size(0), kEps);
    EXPECT_TRUE(
        close(weights[i].flatten(1), testing::to_tensor(expected[i]), bound))
        << "shape " << weights[i].sizes();
  }
}

INSTANTIATE_TEST_SUITE_P(All, MatrixRuleSweep, ::testing::ValuesIn(all_cases()),
                         [](const auto& item) {
                           return case_name(item.param);
                         });

TEST(MatrixRule, EmaAndHeavyBallTakeTheSameDirectionUpToEps) {
  // EMA = (1 - b) heavy ball, so only eps in the norm tells them apart: it
  // shifts X by eps / |M| at most, which five steps magnify by slope^5.
  constexpr double kLr = 0.02;
  constexpr int kSteps = 10;
  std::vector<at::Tensor> results;
  double smallest = 1e300;  // norm of a gradient
  for (const MomentumForm form :
       {MomentumForm::kEma, MomentumForm::kHeavyBall}) {
    Parameters module;
    const at::Tensor weight = module.add("w", random_tensor({6, 4}, 1));
    Optimizer optimizer(route(
        module,
        GroupOptions(MatrixRule{.name = "x", .momentum_form = form}, kLr)));
    for (std::uint64_t step = 0; step < kSteps; ++step) {
      set_gradient(weight, random_tensor({6, 4}, 50 + step));
      smallest = std::min(smallest, weight.grad().norm().item<double>());
      optimizer.step();
    }
    results.push_back(weight.detach());
  }
  const double norm = (1 - 0.95) * smallest / 2;
  EXPECT_TRUE(
      close(results[0], results[1],
            kSteps * kLr * 2 * std::pow(kKellerSlope, 5) * 1e-7 / norm));
  EXPECT_FALSE(same_bits(results[0], results[1]));
}

TEST(MatrixRule, FusedBlocksEqualSeparateParametersBitForBit) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    Parameters fused;
    const at::Tensor start = random_tensor({24, 8}, 2).to(type);
    const at::Tensor qkv = fused.add("qkv", start, Role::kMatrix,
                                     {{"query", 8}, {"key", 4}, {"value", 12}});
    Parameters apart;
    const std::vector<std::int64_t> rows = {8, 4, 12};
    std::vector<at::Tensor> parts;
    const auto starts = start.split_with_sizes(rows);
    for (std::size_t i = 0; i < 3; ++i) {
      parts.push_back(apart.add("p" + std::to_string(i), starts[i]));
    }
    Optimizer one(route(fused, muonw()));
    Optimizer three(route(apart, muonw()));
    for (std::uint64_t step = 0; step < 4; ++step) {
      const at::Tensor gradient = random_tensor({24, 8}, 60 + step).to(type);
      set_gradient(qkv, gradient);
      const auto gradients = gradient.split_with_sizes(rows);
      for (std::size_t i = 0; i < 3; ++i) {
        set_gradient(parts[i], gradients[i].clone());
      }
      one.step();
      three.step();
    }
    EXPECT_TRUE(same_bits(qkv, at::cat(parts)));
    EXPECT_FALSE(same_bits(qkv, start));
  }
}

TEST(MatrixRule, ConvKernelEqualsItsFlattenedMatrix) {
  Parameters conv;
  Parameters flat;
  const at::Tensor start = random_tensor({6, 3, 2, 2}, 3).to(at::kFloat);
  const at::Tensor kernel = conv.add("k", start, Role::kConvKernel);
  const at::Tensor matrix = flat.add("k", start.flatten(1));
  Optimizer a(route(conv, muon()));
  Optimizer b(route(flat, muon()));
  for (std::uint64_t step = 0; step < 3; ++step) {
    const at::Tensor gradient = random_tensor({6, 3, 2, 2}, 70 + step);
    set_gradient(kernel, gradient);
    set_gradient(matrix, gradient.flatten(1));
    a.step();
    b.step();
  }
  EXPECT_TRUE(same_bits(kernel.flatten(1), matrix));
}

TEST(MatrixRule, TallConvKernelsAndOtherLayoutsGiveTheSameUpdate) {
  Parameters plain;
  Parameters strided;
  const at::Tensor start = random_tensor({12, 3, 1, 2}, 5);
  const at::Tensor a = plain.add("k", start, Role::kConvKernel);
  const at::Tensor b = strided.add(
      "k", start.contiguous(at::MemoryFormat::ChannelsLast), Role::kConvKernel);
  ASSERT_NE(a.strides(), b.strides());
  Optimizer one(route(plain, muonw()));
  Optimizer two(route(strided, muonw()));
  for (std::uint64_t step = 0; step < 3; ++step) {
    const at::Tensor gradient = random_tensor({12, 3, 1, 2}, 90 + step);
    set_gradient(a, gradient);
    set_gradient(b, gradient);
    one.step();
    two.step();
  }
  EXPECT_TRUE(close(
      a, b,
      3 * 2e-3 * testing::newton_schulz_bound(kKellerSlope, 5, 12, 6, kEps)));
}

TEST(AdamW, TakesGradientsAndWeightsOfAnyLayout) {
  Parameters plain;
  Parameters strided;
  const at::Tensor start = random_tensor({4, 6}, 6);
  const at::Tensor a = plain.add("x", start, Role::kHead);
  const at::Tensor holder = torch::zeros({4, 12}, torch::kDouble);
  at::Tensor b = holder.slice(1, 0, 12, 2);
  b.copy_(start);
  b = strided.register_parameter("x", b);
  Optimizer one(route(plain, muon()));
  Optimizer two(route(strided, {.hidden = muon(),
                                .auxiliary = adamw(),
                                .overrides = {{"x", Role::kHead}}}));
  for (std::uint64_t step = 0; step < 3; ++step) {
    const at::Tensor gradient = random_tensor({6, 4}, 95 + step).t();
    a.mutable_grad() = gradient.contiguous();
    b.mutable_grad() = gradient;
    one.step();
    two.step();
  }
  EXPECT_TRUE(same_bits(a, b));
  EXPECT_TRUE(holder.slice(1, 1, 12, 2).eq(0).all().item<bool>());
}

TEST(AdamW, FollowsLibTorchForFiftySteps) {
  constexpr int kSteps = 50;
  constexpr double kLr = 0.03;
  Parameters module;
  const at::Tensor mine =
      module.add("x", random_tensor({7, 3}, 4), Role::kHead);
  at::Tensor theirs = mine.detach().clone().requires_grad_();
  Optimizer optimizer(
      route(module, muon(),
            GroupOptions(
                AdamRule{.name = "x", .beta1 = 0.8, .beta2 = 0.97, .eps = 1e-6},
                kLr, 0.2)));
  torch::optim::AdamW judge({theirs}, torch::optim::AdamWOptions(kLr)
                                          .betas(std::make_tuple(0.8, 0.97))
                                          .eps(1e-6)
                                          .weight_decay(0.2));
  std::vector<double> expected = linalg::values_of(mine);
  std::vector<double> first(expected.size());
  std::vector<double> second(expected.size());
  for (int step = 1; step <= kSteps; ++step) {
    const at::Tensor gradient =
        random_tensor({7, 3}, 80 + static_cast<std::uint64_t>(step));
    set_gradient(mine, gradient);
    set_gradient(theirs, gradient);
    optimizer.step();
    judge.step();
    reference::adamw_step(
        expected, linalg::values_of(gradient), first, second, step,
        {.beta1 = 0.8, .beta2 = 0.97, .eps = 1e-6, .lr = kLr, .decay = 0.2});
  }
  // Some 16 roundings a step, of a weight and a step that stay below 4.
  constexpr double kBound = kSteps * 16 * 4 * kEps;
  EXPECT_TRUE(close(mine, theirs, kBound));
  EXPECT_TRUE(close(mine.flatten(),
                    linalg::tensor_of(std::span<const double>(expected)),
                    kBound));
}

at::Tensor after_three_steps(const GroupOptions& options) {
  Parameters module;
  const at::Tensor w = module.add("w", random_tensor({5, 7}, 31));
  Optimizer optimizer(route(module, options));
  for (std::uint64_t step = 1; step <= 3; ++step) {
    set_gradient(w, random_tensor({5, 7}, 40 + step));
    optimizer.step();
  }
  return w.detach();
}

// The spectral case of each family is Muon with the exact polar factor.
TEST(SteepestDescent, OfTheSpectralNormIsMuon) {
  const at::Tensor muon_steps =
      after_three_steps(muon().set("polar_method", "svd"));
  // Two SVDs of the same matrix: some n roundings relative to the smallest of
  // its singular values, which is above a hundredth of the largest here.
  const double bound = 3 * 0.02 * 100 * 7 * kEps;
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(close(after_three_steps(preset("schatten").set("p", infinity)),
                    muon_steps, bound));
  EXPECT_TRUE(close(after_three_steps(preset("power").set("rho", 0)),
                    muon_steps, bound));
  EXPECT_TRUE(
      close(after_three_steps(muon().set("direction", "ky-fan").set("k", 99)),
            muon_steps, bound));
  EXPECT_TRUE(close(after_three_steps(muon().set("polar_method", "qdwh")),
                    muon_steps, bound));
  // And the other ends: p = 2 is the normalised gradient, rho = 1 over s1.
  const at::Tensor frobenius =
      after_three_steps(muon().set("direction", "frobenius"));
  EXPECT_TRUE(close(after_three_steps(preset("schatten").set("p", 2)),
                    frobenius, bound));
  EXPECT_FALSE(close(frobenius, muon_steps, bound));
}

TEST(RandomSpectrum, KeepsSingularVectorsAndRepeats) {
  const auto options =
      preset("random-spectrum").lr(1).set("momentum", 0).set("nesterov", false);
  const auto update = [&](std::int64_t seed) {
    Parameters module;
    const at::Tensor start = random_tensor({5, 7}, 31);
    const at::Tensor w = module.add("w", start);
    GroupOptions seeded = options;
    seeded.set("seed", seed);
    Optimizer optimizer(route(module, seeded));
    set_gradient(w, random_tensor({5, 7}, 41));
    optimizer.step();
    return at::Tensor(start - w.detach());
  };
  const auto [u, s, vh] =
      at::linalg_svd(random_tensor({5, 7}, 41), /*full_matrices=*/false);
  const at::Tensor o = update(0);
  const at::Tensor inside = at::mm(at::mm(u.t(), o), vh.t());
  const at::Tensor values = inside.diagonal().clone();
  EXPECT_TRUE(close(inside, at::diag(values), 1e3 * kEps));
  EXPECT_TRUE(values.gt(0).logical_and(values.lt(2)).all().item<bool>());
  EXPECT_FALSE(close(values, at::ones_like(values), 0.1));
  EXPECT_TRUE(same_bits(update(0), o));
  EXPECT_FALSE(same_bits(update(1), o));
}

TEST(Scale, HasTheDocumentedFactors) {
  EXPECT_EQ(scale_factor(Scale::kUnit, 300, 20), 1.0);
  EXPECT_EQ(scale_factor(Scale::kAspect, 36, 4), 3.0);
  EXPECT_EQ(scale_factor(Scale::kAspect, 4, 36), 1.0);
  EXPECT_EQ(scale_factor(Scale::kSpectral, 36, 4), 3.0);
  EXPECT_EQ(scale_factor(Scale::kSpectral, 4, 16), 0.5);
  EXPECT_DOUBLE_EQ(scale_factor(Scale::kMatchRms, 25, 4), 1.0);
  EXPECT_DOUBLE_EQ(scale_factor(Scale::kMatchRms, 4, 100), 2.0);
}

}  // namespace
}  // namespace muonlab::optim
