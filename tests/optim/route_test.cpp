#include "muonlab/optim/route.h"

#include <torch/torch.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <string>

#include "muonlab/linalg/packed_polar.h"
#include "muonlab/optim/polar_work.h"
#include "tests/optim/parameters_module.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace muonlab::optim {
namespace {

using testing::expect_error;
using testing::Parameters;
using testing::random_tensor;

constexpr auto kKind = ErrorKind::kInvalidArgument;

// A small image model of LibTorch's modules and one declared parameter.
struct Net : torch::nn::Module, DeclaresRoles {
  Net() {
    register_module("conv", torch::nn::Conv2d(3, 4, 3));
    register_module("batch", torch::nn::BatchNorm2d(4));
    register_module("words", torch::nn::Embedding(11, 6));
    register_module("layer",
                    torch::nn::LayerNorm(std::vector<std::int64_t>{6}));
    register_module("fc", torch::nn::Linear(6, 8));
    mine = register_parameter("mine", torch::ones({9, 6}));
  }
  [[nodiscard]] std::vector<ParameterDeclaration> declared_roles()
      const override {
    return {{"mine", Role::kMatrix, {{"a", 4}, {"b", 5}}}};
  }
  at::Tensor mine;
};

const Route& find(const Plan& plan, const std::string& name) {
  return *std::find_if(plan.routes.begin(), plan.routes.end(),
                       [&](const Route& r) { return r.name == name; });
}

TEST(Route, KnowsDeclaredParametersAndLibTorchsModules) {
  const Net net;
  const Plan plan = route(net, muon());
  const std::map<std::string, Role> expected = {
      {"conv.weight", Role::kConvKernel}, {"conv.bias", Role::kBias},
      {"batch.weight", Role::kGain},      {"batch.bias", Role::kBias},
      {"words.weight", Role::kEmbedding}, {"layer.weight", Role::kGain},
      {"layer.bias", Role::kBias},        {"fc.weight", Role::kMatrix},
      {"fc.bias", Role::kBias},           {"mine", Role::kMatrix}};
  ASSERT_EQ(plan.routes.size(), expected.size());
  for (const Route& r : plan.routes) {
    EXPECT_EQ(r.role, expected.at(r.name)) << r.name;
    const bool hidden = r.role == Role::kMatrix || r.role == Role::kConvKernel;
    EXPECT_EQ(plan.group_of(r).name, hidden ? "hidden" : "auxiliary") << r.name;
    EXPECT_EQ(r.matrices.empty(), !hidden) << r.name;
    EXPECT_FALSE(r.why.empty());
  }
  EXPECT_TRUE(plan.left_out.empty());
}

TEST(Route, CutsBlocksAndFlattensKernels) {
  const Net net;
  const Plan plan = route(net, muon());
  const auto& blocks = find(plan, "mine").matrices;
  ASSERT_EQ(blocks.size(), 2U);
  EXPECT_EQ(blocks[1].name, "b");
  EXPECT_EQ(blocks[1].runs[0].first_row, 4);
  EXPECT_EQ(blocks[1].rows, 5);
  EXPECT_EQ(blocks[1].columns, 6);
  const auto& kernel = find(plan, "conv.weight").matrices;
  ASSERT_EQ(kernel.size(), 1U);
  EXPECT_EQ(kernel[0].rows, 4);
  EXPECT_EQ(kernel[0].columns, 27);
}

TEST(Route, AnElementwiseHiddenRuleNeedsNoMatrices) {
  const Net net;
  for (const Route& r : route(net, adamw()).routes) {
    EXPECT_TRUE(r.matrices.empty());
  }
}

TEST(Route, OverridesWin) {
  const Net net;
  const Plan plan =
      route(net, {.hidden = muon(),
                  .auxiliary = adamw(),
                  .overrides = {{"fc.*ght", Role::kHead},
                                {"words.weight", Role::kMatrix}}});
  EXPECT_EQ(find(plan, "fc.weight").role, Role::kHead);
  EXPECT_EQ(find(plan, "fc.weight").group, 1U);
  EXPECT_EQ(find(plan, "words.weight").group, 0U);
  EXPECT_NE(find(plan, "fc.weight").why.find("fc.*ght"), std::string::npos);
  EXPECT_EQ(find(plan, "fc.bias").role, Role::kBias);
}

TEST(Route, AnOverrideKeepsDeclaredBlocks) {
  const Net net;
  const Plan plan = route(net, {.hidden = muon(),
                                .auxiliary = adamw(),
                                .overrides = {{"mine", Role::kConvKernel}}});
  EXPECT_EQ(find(plan, "mine").matrices.size(), 2U);
}

TEST(Route, RefusesOverridesThatMatchNothingOrDisagree) {
  const Net net;
  const auto with = [&](std::vector<RoleOverride> overrides) {
    return [&net, overrides = std::move(overrides)] {
      (void)route(
          net,
          {.hidden = muon(), .auxiliary = adamw(), .overrides = overrides});
    };
  };
  expect_error(kKind, {"'fc2.*'", "matches no parameter"},
               with({{"fc2.*", Role::kHead}}));
  expect_error(kKind, {"'fc.weigh'"}, with({{"fc.weigh", Role::kHead}}));
  expect_error(kKind, {"'fc.weight'", "'fc.*'", "'*.weight'"},
               with({{"fc.*", Role::kBias}, {"*.weight", Role::kGain}}));
  EXPECT_NO_THROW(with({{"fc.*", Role::kBias}, {"*.bias", Role::kBias}})());
}

struct Unknown : torch::nn::Module {
  Unknown() { register_parameter("mystery", torch::ones({2, 3})); }
};

TEST(Route, RefusesAnUnknownRoleUnlessOverridden) {
  const Unknown unknown;
  expect_error(kKind,
               {"'mystery'", "[2, 3]", "role is unknown", "RoleOverride"},
               [&] { (void)route(unknown, muon()); });
  EXPECT_NO_THROW((void)route(unknown, {.hidden = muon(),
                                        .auxiliary = adamw(),
                                        .overrides = {{"*", Role::kMatrix}}}));
}

TEST(Route, TiedParametersAreRoutedOnce) {
  Parameters module;
  const at::Tensor table =
      module.add("table", torch::ones({5, 4}), Role::kEmbedding);
  auto inner = std::make_shared<Parameters>();
  inner->register_parameter("again", table);
  module.register_module("inner", inner);
  const Plan plan = route(module, muon());
  ASSERT_EQ(plan.routes.size(), 1U);
  ASSERT_EQ(plan.left_out.size(), 1U);
  EXPECT_EQ(plan.left_out[0].first, "inner.again");
  EXPECT_NE(plan.left_out[0].second.find("'table'"), std::string::npos);
}

TEST(Route, FrozenParametersAreListedAsLeftOut) {
  Net net;
  net.mine.requires_grad_(false);
  const Plan plan = route(net, muon());
  EXPECT_EQ(std::count_if(plan.routes.begin(), plan.routes.end(),
                          [](const Route& r) { return r.frozen; }),
            1);
  ASSERT_EQ(plan.left_out.size(), 1U);
  EXPECT_EQ(plan.left_out[0].first, "mine");
  EXPECT_EQ(plan_json(plan)["parameters"].size(), plan.routes.size() - 1);
  std::ostringstream text;
  text << plan;
  EXPECT_NE(text.str().find("not updated: mine: frozen"), std::string::npos);
}

TEST(Route, RefusesBadDeclarations) {
  Parameters blocks;
  blocks.add("w", torch::ones({5, 4}), Role::kMatrix, {{"a", 3}, {"b", 3}});
  expect_error(kKind, {"'w'", "6 rows", "has 5"},
               [&] { (void)route(blocks, muon()); });
  for (const std::int64_t rows : {std::int64_t{0}, std::int64_t{-1}}) {
    Parameters odd;
    odd.add("w", torch::ones({5, 4}), Role::kMatrix,
            {{"a", rows}, {"b", 5 - rows}});
    expect_error(kKind, {"'w'", "'a'"}, [&] { (void)route(odd, muon()); });
  }
  Parameters vector;
  vector.add("v", torch::ones({4}), Role::kMatrix);
  expect_error(kKind, {"'v'", "1 dimension", "AdamW"},
               [&] { (void)route(vector, muon()); });
  struct Ghost : torch::nn::Module, DeclaresRoles {
    [[nodiscard]] std::vector<ParameterDeclaration> declared_roles()
        const override {
      return {{"ghost", Role::kMatrix, {}}};
    }
  };
  const Ghost ghost;
  expect_error(kKind, {"'ghost'", "does not have"},
               [&] { (void)route(ghost, muon()); });
  Parameters complex;
  complex.add("z", torch::ones({2, 2}, at::kComplexFloat), Role::kMatrix);
  expect_error(kKind, {"'z'", "float32"},
               [&] { (void)route(complex, muon()); });
  const torch::nn::Module empty("empty");
  expect_error(kKind, {"no parameter"}, [&] { (void)route(empty, muon()); });
}

TEST(Plan, TextHasAllColumnsAndTotals) {
  const Net net;
  std::ostringstream out;
  out << route(net, muonw().lr(0.25).weight_decay(0.5));
  const std::string text = out.str();
  for (const char* word :
       {"parameter", "shape", "role", "rule", "logical", "scale",
        "effective rate", "decay/step", "state", "why", "conv kernel",
        "4x3x3x3", "4x6, 5x6", "0.125", "declared by its module",
        "group hidden: muonw", "group auxiliary: adamw", "3 parameters"}) {
    EXPECT_NE(text.find(word), std::string::npos) << word << " in\n" << text;
  }
}

TEST(Plan, JsonHasTheDocumentedKeys) {
  const Net net;
  const Plan plan = route(net, muon().lr(0.5).weight_decay(0.25));
  const formats::Json json = plan_json(plan);
  EXPECT_EQ(json.at("schema"), 1);
  ASSERT_EQ(json.at("parameters").size(), plan.routes.size());
  EXPECT_TRUE(json.at("left_out").empty());
  for (const auto& row : json.at("parameters")) {
    for (const char* key : {"name", "shape", "role", "rule", "group", "blocks",
                            "scale", "scale_factor", "effective_lr",
                            "effective_weight_decay", "state_bytes", "why"}) {
      EXPECT_TRUE(row.contains(key)) << key;
    }
    if (row.at("name") == "fc.weight") {
      EXPECT_EQ(row.at("shape"), formats::Json({8, 6}));
      EXPECT_EQ(row.at("scale"), "s2");
      EXPECT_DOUBLE_EQ(row.at("effective_lr")[0].get<double>(),
                       0.5 * std::sqrt(8.0 / 6));
      EXPECT_EQ(row.at("effective_weight_decay"), 0.125);
      EXPECT_EQ(row.at("state_bytes"), 8 * 6 * 4);
    }
    if (row.at("name") == "mine") {
      EXPECT_EQ(row.at("effective_lr").size(), 2U);
      EXPECT_EQ(row.at("blocks")[1].at("rows"), 5);
    }
    if (row.at("name") == "fc.bias") {
      EXPECT_TRUE(row.at("scale").is_null());
      EXPECT_EQ(row.at("state_bytes"), 2 * 8 * 4);
    }
  }
}

TEST(PolarWork, CountsTheLogicalMatricesThatTheKernelsTake) {
  const Net net;
  const Plan plan = route(net, muon());
  const auto schedule = linalg::packed_schedule({});
  if (!schedule) GTEST_SKIP() << "MUONLAB_POLAR=aten";
  const auto of = [&](const char* name) {
    return polar_work(plan, find(plan, name)).float32;
  };
  EXPECT_EQ(of("fc.weight"), kernels::polar_flops(8, 6, *schedule).float32);
  EXPECT_EQ(of("mine"), kernels::polar_flops(4, 6, *schedule).float32 +
                            kernels::polar_flops(5, 6, *schedule).float32);
  EXPECT_EQ(of("words.weight"), 0);
}

}  // namespace
}  // namespace muonlab::optim
