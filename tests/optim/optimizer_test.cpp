#include "muonlab/optim/optimizer.h"

#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "muonlab/optim/route.h"
#include "tests/optim/parameters_module.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace muonlab::optim {
namespace {

using testing::close;
using testing::expect_error;
using testing::Parameters;
using testing::random_tensor;
using testing::same_bits;
using testing::set_gradient;

constexpr auto kKind = ErrorKind::kInvalidArgument;

// Two matrices under Muon, a gain and a bias under AdamW.
struct Small {
  Parameters module;
  std::vector<at::Tensor> weights;

  Small() {
    weights.push_back(module.add("first", random_tensor({6, 4}, 1)));
    weights.push_back(module.add("second", random_tensor({4, 5}, 2)));
    weights.push_back(module.add("gain", random_tensor({4}, 3), Role::kGain));
    weights.push_back(module.add("bias", random_tensor({3}, 4), Role::kBias));
  }
  void set_gradients(std::uint64_t step) {
    for (std::size_t i = 0; i < weights.size(); ++i) {
      set_gradient(weights[i],
                   random_tensor(weights[i].sizes(), 10 * step + i));
    }
  }
  [[nodiscard]] std::vector<at::Tensor> copies() const {
    std::vector<at::Tensor> all;
    for (const at::Tensor& w : weights) all.push_back(w.detach().clone());
    return all;
  }
  [[nodiscard]] bool equals(const std::vector<at::Tensor>& others) const {
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (!same_bits(weights[i], others[i])) return false;
    }
    return true;
  }
};

TEST(Optimizer, ChangesParametersButNoGradient) {
  Small model;
  Optimizer optimizer(route(model.module, muonw()));
  model.set_gradients(1);
  const auto before = model.copies();
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& w : model.weights)
    gradients.push_back(w.grad().clone());
  optimizer.step();
  optimizer.step();
  for (std::size_t i = 0; i < model.weights.size(); ++i) {
    EXPECT_TRUE(same_bits(model.weights[i].grad(), gradients[i]));
    EXPECT_FALSE(same_bits(model.weights[i], before[i]));
    EXPECT_TRUE(model.weights[i].requires_grad());
  }
}

TEST(Optimizer, SkipsParametersWithoutGradientAndCounts) {
  Small model;
  Optimizer optimizer(route(model.module, muonw()));
  const auto before = model.copies();
  model.set_gradients(1);
  model.weights[0].mutable_grad() = at::Tensor();
  model.weights[3].mutable_grad() = at::Tensor();
  optimizer.step();
  optimizer.step();
  EXPECT_TRUE(same_bits(model.weights[0], before[0]));
  EXPECT_TRUE(same_bits(model.weights[3], before[3]));
  EXPECT_EQ(optimizer.updates(),
            (std::map<std::string, std::int64_t>{
                {"first", 0}, {"second", 2}, {"gain", 2}, {"bias", 0}}));
}

TEST(Optimizer, AZeroGradientSkipsMatricesAndDecaysTheRest) {
  for (const bool skip : {true, false}) {
    Small model;
    Optimizer optimizer(route(
        model.module, muonw().lr(0.5).weight_decay(0.5).set("skip_zero", skip),
        adamw().lr(0.5).weight_decay(0.5)));
    const auto before = model.copies();
    for (const at::Tensor& w : model.weights) {
      set_gradient(w, torch::zeros_like(w));
    }
    optimizer.step();
    for (std::size_t i = 0; i < model.weights.size(); ++i) {
      const bool still = skip && i < 2;
      EXPECT_TRUE(
          same_bits(model.weights[i], still ? before[i] : before[i] * 0.75));
    }
    EXPECT_EQ(optimizer.counters().at("muonw").skipped_zero, skip ? 2 : 0);
    EXPECT_EQ(optimizer.updates().at("first"), skip ? 0 : 1);
  }
}

TEST(Optimizer, SplittingIntoGroupsChangesNothing) {
  Small one;
  Small three;
  Optimizer whole(route(one.module, muonw()));
  Plan plan = route(three.module, muonw());
  plan.groups.push_back({"hidden too", muonw()});
  plan.groups.push_back({"auxiliary too", adamw()});
  for (Route& r : plan.routes) {
    if (r.name == "second") r.group = 2;
    if (r.name == "bias") r.group = 3;
  }
  Optimizer parted(std::move(plan));
  ASSERT_EQ(parted.param_groups().size(), 4U);
  for (std::uint64_t step = 1; step <= 4; ++step) {
    one.set_gradients(step);
    three.set_gradients(step);
    whole.step();
    parted.step();
  }
  EXPECT_TRUE(one.equals(three.copies()));
}

TEST(Optimizer, LearningRateFactorMultipliesThePlansRates) {
  Small model;
  Optimizer optimizer(route(model.module, muon().lr(0.5), adamw().lr(0.25)));
  optimizer.set_lr_factor(0.5);
  optimizer.set_lr_factor(0.25);  // of the plan's rate, not of the last one
  EXPECT_EQ(optimizer.param_groups()[0].options().get_lr(), 0.125);
  EXPECT_EQ(optimizer.param_groups()[1].options().get_lr(), 0.0625);
  optimizer.set_lr_factor(0);
  const auto before = model.copies();
  model.set_gradients(1);
  optimizer.step();
  EXPECT_TRUE(model.equals(before));
}

TEST(Optimizer, WarmsMomentumUp) {
  // Linear between start and the plan's value; the next step uses it.
  Small warmed;
  Small direct;
  Optimizer a(route(warmed.module, muonw(), adamw()));
  Optimizer b(route(direct.module, muonw().set("momentum", 0.875), adamw()));
  a.set_momentum_share(0.8, 0.5);  // halfway to .95
  warmed.set_gradients(1);
  direct.set_gradients(1);
  a.step();
  b.step();
  EXPECT_TRUE(warmed.equals(direct.copies()));
  a.set_momentum_share(0.8, 1);
  const auto& options =
      static_cast<const GroupOptions&>(a.param_groups()[0].options());
  EXPECT_DOUBLE_EQ(std::get<MatrixRule>(options.update()).momentum, 0.95);
  expect_error(kKind, {"start", "1"}, [&] { a.set_momentum_share(1, 0); });
  expect_error(kKind, {"share", "2"}, [&] { a.set_momentum_share(0.5, 2); });
  Small plain;
  Optimizer none(route(plain.module, adamw(), adamw()));
  expect_error(kKind, {"no group"}, [&] { none.set_momentum_share(0.5, 0); });
}

TEST(Optimizer, ObeysLibTorchsSchedulers) {
  Small scheduled;
  Small by_hand;
  Optimizer a(route(scheduled.module, muonw(), adamw()));
  Optimizer b(route(by_hand.module, muonw(), adamw()));
  torch::optim::StepLR scheduler(a, /*step_size=*/1, /*gamma=*/0.5);
  // LibTorch's StepLR leaves the rate alone at its first step. Powers of two,
  // so both sides round alike.
  const std::vector<double> factors = {1, 1, 0.5, 0.25};
  for (std::uint64_t step = 0; step < factors.size(); ++step) {
    b.set_lr_factor(factors[step]);
    scheduled.set_gradients(step);
    by_hand.set_gradients(step);
    a.step();
    b.step();
    scheduler.step();
  }
  EXPECT_EQ(a.param_groups()[0].options().get_lr(), 1e-3 / 8);
  EXPECT_EQ(a.param_groups()[1].options().get_lr(), 1e-3 / 8);
  EXPECT_TRUE(scheduled.equals(by_hand.copies()));
}

TEST(Optimizer, RunsTheClosureWithGradientsOn) {
  Small model;
  Optimizer optimizer(route(model.module, muon()));
  const at::Tensor loss = optimizer.step([&] {
    optimizer.zero_grad();
    at::Tensor sum = model.weights[0].square().sum();
    sum.backward();
    return sum;
  });
  EXPECT_TRUE(loss.defined());
  EXPECT_EQ(optimizer.updates().at("first"), 1);
  EXPECT_EQ(optimizer.updates().at("second"), 0);
}

void expect_refused_step(Small& model, Optimizer& optimizer,
                         const std::vector<std::string>& words) {
  model.set_gradients(1);
  const auto before = model.copies();
  expect_error(kKind, words, [&] { optimizer.step(); });
  EXPECT_TRUE(model.equals(before));
  for (const auto& [name, count] : optimizer.updates()) EXPECT_EQ(count, 0);
}

TEST(Optimizer, RefusesAParameterThatThePlanDoesNotKnow) {
  const at::Tensor stranger =
      torch::ones({5, 7}, torch::kDouble).requires_grad_();
  set_gradient(stranger, torch::ones({5, 7}));
  {
    Small model;
    Optimizer optimizer(route(model.module, muonw()));
    optimizer.add_param_group(torch::optim::OptimizerParamGroup({stranger}));
    expect_refused_step(model, optimizer,
                        {"[5, 7]", "not in the routing plan"});
  }
  {
    Small model;
    Optimizer optimizer(route(model.module, muonw()));
    optimizer.param_groups()[1].params().push_back(stranger);
    expect_refused_step(model, optimizer, {"[5, 7]", "group 1"});
  }
  EXPECT_TRUE(stranger.eq(1).all().item<bool>());
}

TEST(Optimizer, RefusesAParameterThatIsInTheGroupsTwice) {
  Small model;
  Optimizer optimizer(route(model.module, muonw()));
  auto& groups = optimizer.param_groups();
  groups[1].params().push_back(groups[0].params()[0]);
  expect_refused_step(model, optimizer, {"twice"});
}

TEST(Optimizer, RefusesAMatrixRuleForParametersRoutedWithoutMatrices) {
  Small model;
  Optimizer optimizer(route(model.module, muonw()));
  optimizer.param_groups()[1].set_options(
      std::make_unique<GroupOptions>(muon()));
  expect_refused_step(model, optimizer, {"matrix rule", "route the model"});
}

// LibTorch replaces the options of a group that is added through the base
// class, so the plan decides.
TEST(Optimizer, ParametersThatArriveLateGetTheirRuleFromThePlan) {
  Small model;
  Small twin;
  model.weights[0].set_requires_grad(false);
  Optimizer late(route(model.module, muonw(), adamw()));
  Optimizer whole(route(twin.module, muonw(), adamw()));
  EXPECT_EQ(late.plan().left_out.size(), 1U);
  model.weights[0].set_requires_grad(true);
  torch::optim::Optimizer& base = late;
  base.add_param_group(torch::optim::OptimizerParamGroup({model.weights[0]}));
  for (std::uint64_t step = 1; step <= 3; ++step) {
    model.set_gradients(step);
    twin.set_gradients(step);
    late.step();
    whole.step();
  }
  EXPECT_TRUE(model.equals(twin.copies()));
}

TEST(Optimizer, RefusesARuleThatTookThePlaceOfAnother) {
  Small model;
  Optimizer optimizer(route(model.module, muon()));
  model.set_gradients(1);
  optimizer.step();
  optimizer.param_groups()[0].set_options(
      std::make_unique<GroupOptions>(adamuon()));
  const auto before = model.copies();
  expect_error(kKind, {"'first'", "second_moment", "'adamuon'"},
               [&] { optimizer.step(); });
  EXPECT_TRUE(model.equals(before));
}

TEST(Optimizer, RefusesToKeepANormOfZero) {
  for (const char* rule : {"muonh", "muown"}) {
    Small model;
    {
      const at::NoGradGuard no_grad;
      model.weights[1][2].zero_();
      if (std::string(rule) == "muonh") model.weights[1].zero_();
    }
    Optimizer optimizer(route(model.module, preset(rule)));
    expect_refused_step(model, optimizer, {"'second'", "zero"});
  }
}

// A conv kernel that is tall when flattened, in both memory layouts: the layout
// must change nothing, not even after a state was loaded in the other one.
TEST(Optimizer, UpdatesAreTheSameInEveryMemoryLayout) {
  const auto run = [](bool channels_last, const GroupOptions& options) {
    torch::manual_seed(7);
    torch::nn::Conv2d conv(torch::nn::Conv2dOptions(2, 40, 3).bias(false));
    const auto layout = channels_last ? torch::MemoryFormat::ChannelsLast
                                      : torch::MemoryFormat::Contiguous;
    conv->weight.set_data(conv->weight.detach().contiguous(layout));
    Optimizer optimizer(route(*conv, options));
    for (int step = 0; step < 3; ++step) {
      // The gradient always comes in C order.
      set_gradient(conv->weight, torch::randn({40, 2, 3, 3}));
      optimizer.step();
      if (step == 1) {
        std::stringstream buffer;
        torch::serialize::OutputArchive out;
        optimizer.save(out);
        out.save_to(buffer);
        torch::serialize::InputArchive in;
        in.load_from(buffer);
        optimizer.load(in);
      }
    }
    return conv->weight.detach().contiguous();
  };
  // Conv kernels take the hidden rule, which AdamW may be as well.
  for (const GroupOptions& options : {muon(), adamw()}) {
    EXPECT_TRUE(run(false, options).allclose(run(true, options), 1e-5, 1e-6));
    EXPECT_FALSE(run(true, options).eq(0).any().item<bool>());
  }
}

TEST(Optimizer, RefusesOptionsOutsideTheirRangeAtConstruction) {
  Small model;
  const Plan good = route(model.module, muonw());
  for (const double lr : {-1.0, std::numeric_limits<double>::quiet_NaN()}) {
    Plan bad = good;
    bad.groups[0].options.lr(lr);
    expect_error(kKind, {"hidden", "lr"}, [&] { Optimizer{bad}; });
    expect_error(kKind, {"hidden", "lr"},
                 [&] { (void)route(model.module, muonw().lr(lr)); });
  }
  Plan bad = good;
  bad.groups[0].options.update(MatrixRule{.name = "x", .momentum = 1});
  expect_error(kKind, {"momentum", "got 1"}, [&] { Optimizer{bad}; });
}

TEST(Optimizer, RefusesOptionsOutsideTheirRangeAtAStep) {
  for (const std::size_t group : {0U, 1U}) {
    for (const double lr : {-1.0, std::numeric_limits<double>::quiet_NaN()}) {
      Small model;
      Optimizer optimizer(route(model.module, muonw()));
      optimizer.param_groups()[group].options().set_lr(lr);
      expect_refused_step(model, optimizer,
                          {"group " + std::to_string(group), "lr"});
    }
  }
  Small model;
  Optimizer optimizer(route(model.module, muonw()));
  optimizer.param_groups()[0].set_options(
      std::make_unique<GroupOptions>(MatrixRule{.name = "x", .momentum = 1}));
  expect_refused_step(model, optimizer, {"group 0", "momentum"});
}

TEST(Optimizer, RefusesForeignOptionsAndSparseGradients) {
  {
    Small model;
    Optimizer optimizer(route(model.module, muonw()));
    optimizer.param_groups()[1].set_options(
        std::make_unique<torch::optim::SGDOptions>(0.1));
    expect_refused_step(model, optimizer, {"group 1", "GroupOptions"});
  }
  Small model;
  Optimizer optimizer(route(model.module, muonw()));
  model.set_gradients(1);
  model.weights[1].mutable_grad() =
      torch::ones({4, 5}, torch::kDouble).to_sparse();
  const auto before = model.copies();
  expect_error(kKind, {"'second'", "sparse"}, [&] { optimizer.step(); });
  EXPECT_TRUE(model.equals(before));
}

TEST(Optimizer, LowersALossThatHasAMinimum) {
  Parameters module;
  const at::Tensor w = module.add("w", random_tensor({8, 8}, 7));
  const at::Tensor goal = random_tensor({8, 8}, 8);
  Optimizer optimizer(route(module, muon().lr(0.05)));
  const auto loss = [&] { return (w - goal).square().sum(); };
  const double before = loss().item<double>();
  for (int step = 0; step < 100; ++step) {
    optimizer.zero_grad();
    loss().backward();
    optimizer.step();
  }
  // A step moves each singular value by about lr, so it ends that near.
  EXPECT_LT(loss().item<double>(), before / 20);
}

}  // namespace
}  // namespace muonlab::optim
