// What must hold for every rule: resuming bit for bit, hostile gradients, and
// a weight in any dtype and layout.
#include <torch/torch.h>

#include <cmath>
#include <string>

#include "muonlab/core/files.h"
#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/route.h"
#include "tests/optim/parameters_module.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace muonlab::optim {
namespace {

using testing::close;
using testing::Parameters;
using testing::random_tensor;
using testing::same_bits;
using testing::set_gradient;
using testing::TemporaryFolder;

// The rule for matrices and vectors alike, where it takes vectors; no QK-clip,
// since there is no attention here.
RouteOptions everywhere(const std::string& name) {
  RouteOptions options;
  // Rates that bfloat16 weights notice.
  options.hidden = preset(name).lr(0.05);
  options.auxiliary.lr(0.05);
  if (const auto* r = std::get_if<MatrixRule>(&options.hidden.update());
      r != nullptr && r->qk_clip > 0) {
    options.hidden.set("qk_clip", 0);
  }
  if (!is_matrix_rule(options.hidden.update())) {
    options.auxiliary = options.hidden;
  }
  return options;
}

struct Model {
  Parameters module;
  std::vector<at::Tensor> weights;

  explicit Model(at::ScalarType type) {
    const auto add = [&](const char* name, at::IntArrayRef shape, Role role,
                         std::vector<RowBlock> blocks = {}) {
      weights.push_back(
          module.add(name, random_tensor(shape, 7 + weights.size()).to(type),
                     role, std::move(blocks)));
    };
    add("wide", {4, 6}, Role::kMatrix);
    add("qkv", {12, 5}, Role::kMatrix,
        {{"query", 4}, {"key", 2}, {"query", 4}, {"key", 2}});
    add("kernel", {6, 2, 1, 2}, Role::kConvKernel);
    add("experts", {2, 4, 3}, Role::kExperts);
    add("row", {1, 5}, Role::kMatrix);
    add("gain", {5}, Role::kGain);
  }
  void set_gradients(std::uint64_t step) {
    for (std::size_t i = 0; i < weights.size(); ++i) {
      set_gradient(weights[i],
                   random_tensor(weights[i].sizes(), 100 * step + i));
    }
    // One idle expert, every other step.
    if (step % 2 == 0) weights[3].mutable_grad()[1].zero_();
  }
};

struct Case {
  std::string rule;
  at::ScalarType type;
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.rule << " " << c.type;
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const std::string& rule : preset_names()) {
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      cases.push_back({rule, type});
    }
  }
  return cases;
}

std::string case_name(const ::testing::TestParamInfo<Case>& item) {
  std::string name = item.param.rule + "_" + c10::toString(item.param.type);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class EveryRule : public ::testing::TestWithParam<Case> {};

TEST_P(EveryRule, StopsAndGoesOnBitForBit) {
  const TemporaryFolder folder;
  const auto [rule, type] = GetParam();
  constexpr std::uint64_t kHalf = 4;
  Model straight(type);
  Model stopped(type);
  Optimizer whole(route(straight.module, everywhere(rule)));
  Optimizer first(route(stopped.module, everywhere(rule)));
  for (std::uint64_t step = 1; step <= 2 * kHalf; ++step) {
    straight.set_gradients(step);
    whole.step();
  }
  for (std::uint64_t step = 1; step <= kHalf; ++step) {
    stopped.set_gradients(step);
    first.step();
  }
  first.save(folder / "state");
  Model resumed(type);
  {
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < resumed.weights.size(); ++i) {
      resumed.weights[i].copy_(stopped.weights[i]);
    }
  }
  Optimizer second(route(resumed.module, everywhere(rule)));
  EXPECT_EQ(second.load(folder / "state").text(), "");
  for (std::uint64_t step = kHalf + 1; step <= 2 * kHalf; ++step) {
    resumed.set_gradients(step);
    second.step();
  }
  Model untouched(type);
  for (std::size_t i = 0; i < resumed.weights.size(); ++i) {
    EXPECT_TRUE(same_bits(resumed.weights[i], straight.weights[i])) << i;
    EXPECT_FALSE(same_bits(resumed.weights[i], untouched.weights[i])) << i;
  }
  EXPECT_EQ(second.updates(), whole.updates());
}

TEST_P(EveryRule, StaysFiniteUnderHostileGradientsAndLeavesThemAlone) {
  const auto [rule, type] = GetParam();
  Model model(type);
  Optimizer optimizer(route(model.module, everywhere(rule)));
  const auto largest = type == at::kFloat ? 1e18 : 1e18;
  const std::vector<std::function<at::Tensor(const at::Tensor&)>> kinds = {
      [](const at::Tensor& w) { return torch::zeros_like(w); },
      [](const at::Tensor& w) { return torch::full_like(w, 1e-40); },
      [&](const at::Tensor& w) {
        return random_tensor(w.sizes(), 3).mul(largest).to(w.scalar_type());
      },
      [](const at::Tensor& w) { return torch::ones_like(w); },
      [](const at::Tensor& w) {
        at::Tensor g = torch::zeros_like(w);
        g.flatten()[0] = 1;
        return g;
      },
      [](const at::Tensor& w) { return torch::zeros_like(w); }};
  for (const auto& kind : kinds) {
    std::vector<at::Tensor> given;
    for (const at::Tensor& w : model.weights) {
      set_gradient(w, kind(w.detach()));
      given.push_back(w.grad().clone());
    }
    optimizer.step();
    for (std::size_t i = 0; i < model.weights.size(); ++i) {
      EXPECT_TRUE(at::isfinite(model.weights[i]).all().item<bool>()) << i;
      EXPECT_TRUE(same_bits(model.weights[i].grad(), given[i])) << i;
    }
  }
}

TEST_P(EveryRule, RefusesAGradientThatIsNotFiniteBeforeAnythingChanges) {
  const TemporaryFolder folder;
  const auto [rule, type] = GetParam();
  Model model(type);
  Optimizer optimizer(route(model.module, everywhere(rule)));
  model.set_gradients(1);
  optimizer.step();
  optimizer.save(folder / "before");
  std::vector<at::Tensor> weights;
  for (const at::Tensor& w : model.weights) weights.push_back(w.clone());
  for (const double bad : {NAN, INFINITY}) {
    model.set_gradients(2);
    model.weights[2].mutable_grad().flatten()[3] = bad;
    testing::expect_error(ErrorKind::kDiverged, {"'kernel'", "not finite"},
                          [&] { optimizer.step(); });
  }
  optimizer.save(folder / "after");
  EXPECT_TRUE(core::read_file(folder / "before") ==
              core::read_file(folder / "after"));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    EXPECT_TRUE(same_bits(model.weights[i], weights[i]));
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryRule, ::testing::ValuesIn(all_cases()),
                         case_name);

class EveryMatrixRule : public ::testing::TestWithParam<std::string> {};

std::vector<std::string> matrix_rules() {
  std::vector<std::string> names;
  for (const Preset& p : presets()) {
    if (is_matrix_rule(p.options.update())) names.push_back(p.name);
  }
  return names;
}

std::string plain_name(const ::testing::TestParamInfo<std::string>& item) {
  std::string name = item.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

// Interleaved rows, joined by name, are the matrices that they would be apart.
TEST_P(EveryMatrixRule, BlocksAreMatricesOfTheirOwn) {
  if (GetParam() == "random-spectrum" || GetParam() == "dion") {
    GTEST_SKIP() << "its random numbers depend on the parameter's name";
  }
  Parameters fused;
  const at::Tensor start = random_tensor({12, 5}, 1);
  const at::Tensor whole = fused.add("w", start, Role::kMatrix,
                                     {{"a", 2}, {"b", 4}, {"a", 3}, {"b", 3}});
  const auto take = [](const at::Tensor& x) {
    return std::vector<at::Tensor>{
        torch::cat({x.slice(0, 0, 2), x.slice(0, 6, 9)}),
        torch::cat({x.slice(0, 2, 6), x.slice(0, 9, 12)})};
  };
  Parameters apart;
  std::vector<at::Tensor> parts;
  for (const at::Tensor& part : take(start)) {
    parts.push_back(apart.add("p" + std::to_string(parts.size()), part));
  }
  Optimizer one(route(fused, everywhere(GetParam())));
  Optimizer two(route(apart, everywhere(GetParam())));
  for (std::uint64_t step = 1; step <= 4; ++step) {
    const at::Tensor gradient = random_tensor({12, 5}, 10 + step);
    set_gradient(whole, gradient);
    const auto gradients = take(gradient);
    for (std::size_t i = 0; i < 2; ++i) set_gradient(parts[i], gradients[i]);
    one.step();
    two.step();
  }
  const auto result = take(whole.detach());
  EXPECT_TRUE(same_bits(result[0], parts[0].detach()));
  EXPECT_TRUE(same_bits(result[1], parts[1].detach()));
  EXPECT_FALSE(same_bits(whole, start));
}

TEST_P(EveryMatrixRule, SkipsAndCountsAZeroBlockUnlessToldOtherwise) {
  RouteOptions options = everywhere(GetParam());
  for (const bool skip : {true, false}) {
    options.hidden.set("skip_zero", skip);
    if (options.hidden.weight_decay() == 0 && GetParam() != "muonh" &&
        GetParam() != "scion") {
      options.hidden.weight_decay(0.1);  // so that a step changes something
    }
    Parameters module;
    const at::Tensor w =
        module.add("w", random_tensor({2, 4, 3}, 1), Role::kExperts);
    Optimizer optimizer(route(module, options));
    set_gradient(w, random_tensor({2, 4, 3}, 2));
    optimizer.step();
    set_gradient(w, random_tensor({2, 4, 3}, 4));
    optimizer.step();
    const at::Tensor before = w.detach().clone();
    set_gradient(w, random_tensor({2, 4, 3}, 3));
    w.mutable_grad()[0].zero_();
    optimizer.step();
    EXPECT_EQ(same_bits(w.detach()[0], before[0]), skip) << skip;
    EXPECT_FALSE(same_bits(w.detach()[1], before[1]));
    EXPECT_EQ(optimizer.counters().at(GetParam()).skipped_zero, skip ? 1 : 0);
    EXPECT_EQ(optimizer.counters().at(GetParam()).updates, 3);
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryMatrixRule,
                         ::testing::ValuesIn(matrix_rules()), plain_name);

}  // namespace
}  // namespace muonlab::optim
