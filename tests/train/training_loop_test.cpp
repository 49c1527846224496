#include "muonlab/train/training_loop.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include "muonlab/core/files.h"
#include "muonlab/linalg/packed_polar.h"
#include "muonlab/linalg/tensor_file.h"
#include "muonlab/linalg/tensor_view.h"
#include "muonlab/nn/initialise.h"
#include "muonlab/train/batch.h"
#include "muonlab/train/evaluate.h"
#include "muonlab/train/load_run.h"
#include "muonlab/train/open_dataset.h"
#include "muonlab/train/routing.h"
#include "muonlab/train/sample.h"
#include "tests/support/expect_error.h"
#include "tests/train/parts.h"

namespace muonlab::train {
namespace {

// Gradients of the same step with and without accumulation. An entry is a sum
// over the step's tokens and, behind it, over the features of a few layers;
// both orders of summation differ by at most about n * eps * (largest entry).
void expect_same_gradients(RunConfig config, bool in_double, double epsilon) {
  config.clip = 0;
  Parts whole(config, in_double);
  config.accumulation = 4;
  Parts parts(config, in_double);
  const StepOutcome a = whole.loop.run(0);
  const StepOutcome b = parts.loop.run(0);
  const auto n = static_cast<double>(config.batch * config.model.context);
  EXPECT_NEAR(a.loss, b.loss, n * epsilon * a.loss);
  EXPECT_NEAR(a.gradient_norm, b.gradient_norm, n * epsilon * a.gradient_norm);
  const auto expected = whole.gradients();
  for (const auto& [name, gradient] : parts.gradients()) {
    ASSERT_TRUE(gradient.defined()) << name;
    const double largest = expected.at(name).abs().max().item<double>();
    EXPECT_GT(largest, 0) << name << " has no gradient to compare";
    EXPECT_LE((gradient - expected.at(name)).abs().max().item<double>(),
              n * epsilon * largest)
        << name;
  }
}

TEST(TrainingLoop, FourMicroBatchesHaveTheGradientOfOneBatch) {
  expect_same_gradients(tiny_config(), true, kEpsilon64);
  for (const char* layers : {"plain", "fused"}) {
    expect_same_gradients(with_layers(tiny_config(), layers), false,
                          kEpsilon32);
  }
}

// ClipsBeforeMomentum sees what it does to the step.
TEST(TrainingLoop, ClippingLeavesTheGradientsAndReportsTheirNorm) {
  RunConfig config = tiny_config();
  config.clip = 0;
  Parts free(config);
  const StepOutcome before = free.loop.run(0);
  EXPECT_FALSE(before.clipped);
  // The norm is a float's; its sum of squares loses at most n eps.
  EXPECT_NEAR(before.gradient_norm, norm_of(free.gradients()),
              1e3 * kEpsilon32 * before.gradient_norm);

  config.clip = before.gradient_norm / 3;
  Parts clipped(config);
  const StepOutcome after = clipped.loop.run(0);
  EXPECT_TRUE(after.clipped);
  EXPECT_EQ(after.gradient_norm, before.gradient_norm)
      << "it is the norm before";
  const auto unclipped = free.gradients();
  for (const auto& [name, gradient] : clipped.gradients()) {
    EXPECT_TRUE(at::equal(gradient, unclipped.at(name))) << name;
  }
}

TEST(TrainingLoop, ANormBelowTheBoundLeavesTheGradientAlone) {
  RunConfig config = tiny_config();
  config.clip = 0;
  Parts free(config);
  const double norm = free.loop.run(0).gradient_norm;
  config.clip = 1.01 * norm;
  Parts bounded(config);
  EXPECT_FALSE(bounded.loop.run(0).clipped);
  EXPECT_EQ(free.weights(), bounded.weights());
}

TEST(TrainingLoop, WarmsMomentumUpOverItsShareOfTheSteps) {
  RunConfig config = tiny_config();
  config.steps = 8;
  config.momentum_start = 0.5;
  config.momentum_warmup = 0.5;
  Parts parts(config);
  const auto momentum = [&] {
    const auto& options = static_cast<const optim::GroupOptions&>(
        parts.optimizer.param_groups()[0].options());
    return std::get<optim::MatrixRule>(options.update()).momentum;
  };
  // Half of eight steps: a quarter of the way from .5 to .95 each.
  for (const double expected : {0.5, 0.6125, 0.725, 0.8375, 0.95, 0.95}) {
    static std::int64_t step = 0;
    (void)parts.loop.run(step++);
    EXPECT_NEAR(momentum(), expected, 1e-15);
  }
}

TEST(TrainingLoop, ClipsBeforeMomentum) {
  RunConfig config = tiny_config();
  // The first buffer is the gradient.
  config.optim.options.fill({{"momentum_form", std::string("heavy-ball")}});
  config.clip = 1e-3;
  Parts parts(config);
  const StepOutcome outcome = parts.loop.run(0);
  ASSERT_GT(outcome.gradient_norm, 10 * config.clip);
  const testing::TemporaryFolder folder;
  parts.optimizer.save(folder / "state.safetensors");
  const auto state = linalg::load_tensors(folder / "state.safetensors").tensors;
  std::map<std::string, at::Tensor> buffers;
  const auto gradients = parts.gradients();
  for (const optim::Route& route : parts.optimizer.plan().routes) {
    if (parts.optimizer.plan().group_of(route).name != "hidden") continue;
    // The step scales them; the gradients stay as they are.
    const at::Tensor clipped =
        gradients.at(route.name).mul(config.clip / outcome.gradient_norm);
    for (const auto& [name, tensor] : state) {
      if (name != route.name + ".momentum") continue;
      EXPECT_TRUE(at::equal(tensor.view(-1), clipped.view(-1))) << name;
      buffers[name] = tensor;
    }
  }
  // In each of two blocks: q, k and v together, output, gate and up together,
  // down.
  EXPECT_EQ(buffers.size(), 2U * 4U);
  EXPECT_GT(norm_of(buffers), 0);
  EXPECT_LE(norm_of(buffers), config.clip * (1 + 1e3 * kEpsilon32));
}

TEST(TrainingLoop, NamesALossThatIsNotFiniteAndUpdatesNothing) {
  for (const double poison : {kNan, kInfinity}) {
    Parts parts(tiny_config());
    EXPECT_TRUE(parts.loop.run(0).fault.empty());
    {
      const at::NoGradGuard no_grad;
      for (auto& item : parts.model.named_parameters()) {
        item.value().view(-1)[0].fill_(poison);
      }
    }
    const std::string before = parts.weights();
    const StepOutcome outcome = parts.loop.run(1);
    EXPECT_NE(outcome.fault.find("training loss is"), std::string::npos);
    EXPECT_NE(outcome.fault.find("step 2"), std::string::npos) << outcome.fault;
    EXPECT_FALSE(std::isfinite(outcome.loss));
    EXPECT_EQ(parts.weights(), before);
    for (const auto& [name, count] : parts.optimizer.updates()) {
      EXPECT_EQ(count, 1) << name;
    }
  }
}

TEST(TrainingLoop, NamesTheParameterWhoseGradientIsNotFinite) {
  // Autograd's hooks see plain layers alone.
  Parts parts(with_layers(tiny_config(), "plain"));
  std::string name;
  for (auto& item : parts.model.named_parameters()) {
    if (item.value().dim() != 2) continue;
    name = item.key();
    item.value().register_hook(
        [](const at::Tensor& gradient) { return gradient * kInfinity; });
    break;
  }
  const std::string before = parts.weights();
  const StepOutcome outcome = parts.loop.run(0);
  EXPECT_NE(outcome.fault.find("'" + name + "': its gradient is not finite"),
            std::string::npos)
      << outcome.fault;
  EXPECT_TRUE(std::isfinite(outcome.loss));
  EXPECT_EQ(parts.weights(), before);
}

TEST(TrainingLoop, TheOrderOfBatchesIsAFunctionOfTheSeedAlone) {
  RunConfig config = tiny_config();
  Parts first(config);
  const auto early = first.loop.starts(3);
  for (std::int64_t step = 0; step < 3; ++step) (void)first.loop.run(step);
  EXPECT_EQ(first.loop.starts(3), early) << "steps before it changed it";
  config.optim.rule = "adamw";
  config.model.width = 8;
  config.accumulation = 2;
  Parts other(config);
  EXPECT_EQ(other.loop.starts(3), early) << "the optimizer or model changed it";
  config.seed = 1;
  Parts another(config);
  EXPECT_NE(another.loop.starts(3), early);
  EXPECT_NE(first.loop.starts(2), early);
  EXPECT_EQ(early.size(), 8U);
}

TEST(TrainingLoop, ReportsTheLossBeforeTheUpdateAndTheSchedulesFactor) {
  RunConfig config = tiny_config();
  config.schedule_warmup = 0.5;
  Parts parts(config);
  const auto windows = parts.loop.starts(0);
  const Batch batch = gather(parts.dataset.tokens(data::Split::kTrain), windows,
                             config.model.context);
  const double expected =
      parts.model.loss(batch.inputs, batch.targets).item<double>();
  const StepOutcome outcome = parts.loop.run(0);
  // Two orders of summation over the 257 logits.
  EXPECT_NEAR(outcome.loss, expected, 257 * kEpsilon32 * expected);
  EXPECT_EQ(outcome.lr_factor, 1.0 / 3);
}

TEST(TrainingLoop, LearnsTheTrainingText) {
  for (const char* rule : {"muon", "muonw", "adamw"}) {
    RunConfig config = tiny_config();
    config.optim.rule = rule;
    config.steps = 30;
    Parts parts(config);
    const double first = parts.loop.run(0).loss;
    double last = first;
    for (std::int64_t step = 1; step < config.steps; ++step) {
      last = parts.loop.run(step).loss;
    }
    // From log(257) = 5.5 towards the 17 letters of these documents.
    EXPECT_LT(last, first - 0.5) << rule;
  }
}

TEST(Batch, HasTheTargetsOneTokenLater) {
  const std::vector<std::int32_t> tokens = {5, 6, 7, 8, 9};
  const std::vector<std::int64_t> starts = {2, 0};
  const Batch batch = gather(tokens, starts, 2);
  EXPECT_EQ(linalg::values_of(batch.inputs), (std::vector<double>{7, 8, 5, 6}));
  EXPECT_EQ(linalg::values_of(batch.targets),
            (std::vector<double>{8, 9, 6, 7}));
  const std::vector<std::int64_t> late = {3};
  testing::expect_error(ErrorKind::kInvalidArgument, {"3", "5"},
                        [&] { (void)gather(tokens, late, 2); });
}

}  // namespace
}  // namespace muonlab::train
