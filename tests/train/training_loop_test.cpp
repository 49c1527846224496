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
#include "tests/train/tiny_run.h"

namespace muonlab::train {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kEpsilon32 = std::numeric_limits<float>::epsilon();
constexpr double kEpsilon64 = std::numeric_limits<double>::epsilon();

RunConfig with_layers(RunConfig config, const std::string& layers) {
  config.layers = layers;
  return config;
}

// What a run holds, without its folder. In float64 the layers are plain.
class Parts {
 public:
  explicit Parts(RunConfig c, bool in_double = false)
      : config(with_layers(c, in_double ? "plain" : c.layers)),
        dataset(open_dataset(config)),
        model(config.model),
        optimizer(plan(in_double)),
        pass(config.layers == "fused"
                 ? std::make_unique<nn::FusedPass>(model, fused_options(config),
                                                   linalg::kernel_pool())
                 : nullptr),
        loop(config, dataset, model, optimizer, pass.get()) {}

  TokenLosses losses() const {
    return pass ? token_losses(*pass) : token_losses(model);
  }
  HeldOutLoss evaluate_on(data::Split split, std::int64_t windows) const {
    return evaluate(losses(), config.model.context, dataset, split, windows);
  }

  std::map<std::string, at::Tensor> gradients() const {
    std::map<std::string, at::Tensor> found;
    for (const auto& item : model.named_parameters()) {
      found[item.key()] = item.value().grad();
    }
    return found;
  }

  std::string weights() const {
    return linalg::tensors_sha256(named_parameters(model));
  }

  RunConfig config;
  data::Dataset dataset;
  nn::LanguageModel model;
  optim::Optimizer optimizer;
  std::unique_ptr<nn::FusedPass> pass;
  TrainingLoop loop;

 private:
  optim::Plan plan(bool in_double) {
    nn::initialise(model, static_cast<std::uint64_t>(config.seed));
    if (in_double) model.to_double();
    return plan_for(model, config.optim);
  }
};

double norm_of(const std::map<std::string, at::Tensor>& tensors) {
  double squares = 0;
  for (const auto& [name, tensor] : tensors) {
    for (const double value : linalg::values_of(tensor))
      squares += value * value;
  }
  return std::sqrt(squares);
}

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

// Held-out loss, standard error and bits per byte, window by window in float64
// from the model's own logits.
HeldOutLoss plain_evaluation(const Parts& parts, std::int64_t windows) {
  const at::NoGradGuard no_grad;
  const auto& tokens = parts.dataset.tokens(data::Split::kSelection);
  const auto context = static_cast<std::size_t>(parts.config.model.context);
  std::vector<double> means;
  HeldOutLoss result;
  for (std::int64_t w = 0; w < windows; ++w) {
    const auto start = static_cast<std::size_t>(w) * context;
    std::vector<std::int64_t> window(
        tokens.begin() + static_cast<std::ptrdiff_t>(start),
        tokens.begin() + static_cast<std::ptrdiff_t>(start + context));
    const at::Tensor logits =
        parts.model.forward(linalg::tensor_of(window).view({1, -1}))
            .to(at::kDouble);
    const auto values = linalg::values_of(logits);
    const std::size_t vocabulary = values.size() / context;
    double sum = 0;
    for (std::size_t t = 0; t < context; ++t) {
      double total = 0;
      for (std::size_t v = 0; v < vocabulary; ++v) {
        total += std::exp(values[t * vocabulary + v]);
      }
      const auto target = static_cast<std::size_t>(tokens[start + t + 1]);
      sum += std::log(total) - values[t * vocabulary + target];
      result.bytes += target < 256 ? 1 : 0;  // the byte tokenizer's separator
    }
    means.push_back(sum / static_cast<double>(context));
    result.loss += means.back() / static_cast<double>(windows);
  }
  double squares = 0;
  for (const double mean : means)
    squares += (mean - result.loss) * (mean - result.loss);
  const auto n = static_cast<double>(windows);
  result.standard_error = std::sqrt(squares / (n - 1) / n);
  result.tokens = windows * parts.config.model.context;
  result.bits_per_byte = result.loss * static_cast<double>(result.tokens) /
                         std::numbers::ln2 / static_cast<double>(result.bytes);
  return result;
}

void expect_same_evaluation(const char* layers, bool in_double,
                            double epsilon) {
  Parts parts(with_layers(tiny_config(), layers), in_double);
  for (std::int64_t step = 0; step < 3; ++step) (void)parts.loop.run(step);
  // More windows than fit one pass of 2048 tokens.
  const std::int64_t windows = 150;
  const HeldOutLoss found = parts.evaluate_on(data::Split::kSelection, windows);
  const HeldOutLoss expected = plain_evaluation(parts, windows);
  // Each token's loss is right to a few roundings of sums over the 257 logits.
  const double bound = 257 * epsilon * expected.loss;
  EXPECT_NEAR(found.loss, expected.loss, bound);
  EXPECT_NEAR(found.standard_error, expected.standard_error, bound);
  EXPECT_EQ(found.tokens, expected.tokens);
  EXPECT_EQ(found.bytes, expected.bytes);
  EXPECT_LT(found.bytes, found.tokens) << "the windows hold no separator";
  EXPECT_NEAR(found.bits_per_byte, expected.bits_per_byte, 2 * bound);
  EXPECT_EQ(found.split, "selection");
  EXPECT_GT(found.standard_error, 10 * bound);
}

TEST(Evaluate, EqualsThePlainSumOverWindows) {
  expect_same_evaluation("plain", true, kEpsilon64);
  expect_same_evaluation("plain", false, kEpsilon32);
  expect_same_evaluation("fused", false, kEpsilon32);
}

TEST(Evaluate, AModelThatKnowsNothingHasTheLogarithmOfTheVocabulary) {
  Parts parts(tiny_config(), true);
  {
    const at::NoGradGuard no_grad;
    for (auto& item : parts.model.named_parameters()) item.value().zero_();
  }
  const HeldOutLoss found = parts.evaluate_on(data::Split::kReporting, 10);
  EXPECT_NEAR(found.loss, std::log(257.0), 257 * kEpsilon64 * std::log(257.0));
  EXPECT_NEAR(found.standard_error, 0, 1e-12);
}

TEST(Evaluate, LeavesModelAndGradientsAlone) {
  Parts parts(tiny_config());
  (void)parts.loop.run(0);
  const std::string weights = parts.weights();
  const double norm = norm_of(parts.gradients());
  (void)parts.evaluate_on(data::Split::kReporting, 5);
  EXPECT_EQ(parts.weights(), weights);
  EXPECT_EQ(norm_of(parts.gradients()), norm);
}

TEST(Evaluate, RefusesMoreWindowsThanThereAre) {
  const Parts parts(tiny_config());
  const auto all = static_cast<std::int64_t>(
      (parts.dataset.tokens(data::Split::kReporting).size() - 1) / 16);
  (void)parts.evaluate_on(data::Split::kReporting, all);
  testing::expect_error(
      ErrorKind::kInvalidArgument,
      {"eval.windows", std::to_string(all + 1), "reporting",
       std::to_string(all)},
      [&] { (void)parts.evaluate_on(data::Split::kReporting, all + 1); });
  testing::expect_error(ErrorKind::kInvalidArgument, {"test", "selection"},
                        [] { (void)split_from_name("test"); });
}

class SampleTest : public ::testing::Test {
 protected:
  SampleTest() : parts_(tiny_config()) {
    for (std::int64_t step = 0; step < 6; ++step) (void)parts_.loop.run(step);
  }
  std::string text(const std::string& prompt, SampleOptions options) const {
    return sample(parts_.model, *parts_.dataset.tokenizer(), prompt, options);
  }
  Parts parts_;
};

TEST_F(SampleTest, IsAFunctionOfTheSeed) {
  SampleOptions options;
  options.tokens = 40;  // beyond the context of 16
  const std::string once = text("Address", options);
  EXPECT_EQ(text("Address", options), once);
  EXPECT_EQ(once.rfind("Address", 0), 0U) << "the prompt is not kept";
  EXPECT_GT(once.size(), std::string("Address").size());
  options.seed = 1;
  EXPECT_NE(text("Address", options), once);
}

TEST_F(SampleTest, TemperatureZeroTakesTheLikeliestToken) {
  SampleOptions options;
  options.tokens = 1;
  options.temperature = 0;
  const at::NoGradGuard no_grad;
  const std::vector<std::int64_t> ids = {256, 'A', 'd'};
  const at::Tensor logits =
      parts_.model.forward(linalg::tensor_of(ids).view({1, -1}));
  const auto likeliest = logits.select(1, -1).argmax().item<std::int64_t>();
  ASSERT_LT(likeliest, 256) << "the separator: no byte to compare";
  EXPECT_EQ(text("Ad", options),
            "Ad" + std::string(1, static_cast<char>(likeliest)));
  // One candidate is the likeliest one, whatever the temperature and seed.
  options.tokens = 20;
  const std::string greedy = text("Ad", options);
  options.temperature = 5;
  options.top_k = 1;
  options.seed = 7;
  EXPECT_EQ(text("Ad", options), greedy);
}

TEST_F(SampleTest, RefusesOptionsOutOfRange) {
  const auto refused = [&](SampleOptions options, const std::string& word) {
    testing::expect_error(ErrorKind::kInvalidArgument, {word},
                          [&] { (void)text("", options); });
  };
  refused({.tokens = 0}, "tokens");
  refused({.temperature = -1}, "temperature");
  refused({.temperature = kNan}, "temperature");
  refused({.top_k = -1}, "top-k");
}

class LoadWeightsTest : public ::testing::Test {
 protected:
  LoadWeightsTest() : parts_(tiny_config()) {}

  void expect_corrupt(const linalg::NamedTensors& tensors,
                      const std::vector<std::string>& words) {
    const auto path = folder_ / "weights.safetensors";
    linalg::save_tensors(path, tensors);
    testing::expect_error(ErrorKind::kCorruptData, words,
                          [&] { load_weights(parts_.model, path); });
  }

  Parts parts_;
  testing::TemporaryFolder folder_;
};

TEST_F(LoadWeightsTest, BringsBackWhatWasSaved) {
  const auto path = folder_ / "weights.safetensors";
  linalg::save_tensors(path, named_parameters(parts_.model));
  const std::string saved = parts_.weights();
  (void)parts_.loop.run(0);
  EXPECT_NE(parts_.weights(), saved);
  load_weights(parts_.model, path);
  EXPECT_EQ(parts_.weights(), saved);
}

TEST_F(LoadWeightsTest, RefusesWeightsOfAnotherModel) {
  const auto all = named_parameters(parts_.model);
  auto fewer = all;
  fewer.pop_back();
  expect_corrupt(fewer, {"weights.safetensors", all.back().first, "missing"});
  auto reshaped = all;
  reshaped.front().second = at::zeros({3, 3});
  expect_corrupt(reshaped, {all.front().first, "another shape"});
  auto more = all;
  more.emplace_back("stranger", at::zeros({1}));
  expect_corrupt(more, {"weights.safetensors", "tensors"});
}

TEST_F(LoadWeightsTest, RefusesDamagedAndMissingFiles) {
  const auto path = folder_ / "weights.safetensors";
  linalg::save_tensors(path, named_parameters(parts_.model));
  const std::string bytes = core::read_file(path);
  testing::write(path, bytes.substr(0, bytes.size() - 7));
  testing::expect_error(ErrorKind::kCorruptData, {"weights.safetensors"},
                        [&] { load_weights(parts_.model, path); });
  testing::write(path, "");
  testing::expect_error(ErrorKind::kCorruptData, {"weights.safetensors"},
                        [&] { load_weights(parts_.model, path); });
  testing::expect_error(ErrorKind::kIo, {"missing.safetensors"}, [&] {
    load_weights(parts_.model, folder_ / "missing.safetensors");
  });
  testing::expect_error(ErrorKind::kIo, {"config.toml"},
                        [&] { (void)read_run(folder_.path()); });
}

TEST(OpenDataset, RefusesAVocabularyThatIsNotTheDatasets) {
  RunConfig config = tiny_config();
  config.model.vocabulary = 300;
  testing::expect_error(ErrorKind::kInvalidArgument,
                        {"model.vocabulary", "300", "257"},
                        [&] { (void)open_dataset(config); });
  config = tiny_config();
  config.data_path = "nowhere/at-all";
  testing::expect_error(ErrorKind::kIo, {"nowhere/at-all"},
                        [&] { (void)open_dataset(config); });
}

}  // namespace
}  // namespace muonlab::train
