// The fused pass beside the same model of plain operators in float64.
#include "muonlab/nn/fused_pass.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>

#include "tests/nn/small_model.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace muonlab::nn {
namespace {

using testing::close;
using testing::expect_error;
using testing::random_tensor;
using testing::random_tokens;
using testing::same_bits;

struct Case {
  std::string name;
  ModelConfig config;
  std::int64_t batch = 3;
  std::int64_t length = 0;  // 0: the context
};

ModelConfig odd_config() {
  ModelConfig c;
  c.vocabulary = 37;
  c.context = 19;
  c.width = 30;
  c.layers = 2;
  c.heads = 3;
  c.hidden = 23;
  return c;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  all.push_back({"swiglu_rotary", odd_config()});
  const auto with = [&](const char* name, auto change, std::int64_t batch = 3,
                        std::int64_t length = 0) {
    Case one{name, odd_config(), batch, length};
    change(one.config);
    all.push_back(one);
  };
  with("silu_tied_without_positions", [](ModelConfig& c) {
    c.activation = "silu";
    c.positions = "none";
    c.tied_head = true;
  });
  with("gelu_qk_norm", [](ModelConfig& c) {
    c.activation = "gelu";
    c.qk_norm = true;
  });
  with("scaled_embedding", [](ModelConfig& c) { c.scale_embedding = true; });
  with("scaled_embedding_tied", [](ModelConfig& c) {
    c.activation = "silu";
    c.positions = "none";
    c.tied_head = true;
    c.scale_embedding = true;
  });
  with("relu2_tied", [](ModelConfig& c) {
    c.activation = "relu2";
    c.tied_head = true;
  });
  with("geglu_scaled_by_layer", [](ModelConfig& c) {
    c.activation = "geglu";
    c.scale_attention_by_layer = true;
    c.layers = 3;
  });
  with("qk_norm_without_positions", [](ModelConfig& c) {
    c.qk_norm = true;
    c.positions = "none";
  });
  with("one_head_one_sequence", [](ModelConfig& c) { c.heads = 1; }, 1);
  with("one_token", [](ModelConfig&) {}, 2, 1);
  with("short_sequences", [](ModelConfig&) {}, 5, 7);
  with("long", [](ModelConfig& c) { c.context = 300; }, 2);
  with("many_words", [](ModelConfig& c) { c.vocabulary = 5003; }, 4);
  with("wide", [](ModelConfig& c) {
    c.width = 176;
    c.heads = 2;
    c.hidden = 351;
    c.layers = 1;
  });
  return all;
}

// Weights that make all parts matter, the same for every dtype.
std::shared_ptr<LanguageModel> model_of(const ModelConfig& config) {
  auto model = std::make_shared<LanguageModel>(config);
  const at::NoGradGuard no_grad;
  std::uint64_t seed = 1;
  for (auto& item : model->named_parameters()) {
    at::Tensor& p = item.value();
    const at::Tensor x = random_tensor(p.sizes(), seed++);
    if (p.dim() == 1) {
      p.copy_(x * 0.2 + 1);
    } else {
      p.copy_(x * 0.7 / std::sqrt(static_cast<double>(p.size(1))));
    }
  }
  return model;
}

struct Data {
  at::Tensor tokens;
  at::Tensor targets;
};

Data data_of(const Case& c) {
  const std::int64_t length = c.length > 0 ? c.length : c.config.context;
  return {random_tokens({c.batch, length}, c.config.vocabulary, 5),
          random_tokens({c.batch, length}, c.config.vocabulary, 6)};
}

using Gradients = std::map<std::string, at::Tensor>;

Gradients gradients_of(const LanguageModel& model) {
  Gradients all;
  for (const auto& item : model.named_parameters()) {
    all[item.key()] = item.value().grad().clone();
  }
  return all;
}

struct Reference {
  double loss = 0;
  Gradients gradients;
};

Reference reference_of(const Case& c, const Data& data) {
  const auto model = model_of(c.config);
  model->to_double();
  const at::Tensor loss = model->loss(data.tokens, data.targets);
  loss.backward();
  return {loss.item<double>(), gradients_of(*model)};
}

// Relative, of a gradient as a whole. A value passes at most ten products on
// its way through a block and back and the head's three; each rounds its
// operands (unit u) and adds up to `longest` terms in float32, errors that add
// like a random walk. The factor 4 is for what norms and softmax amplify.
double bound(const Case& c, const Data& data, Precision precision) {
  const double products = 10 * static_cast<double>(c.config.layers) + 3;
  const double u = precision == Precision::kFloat32 ? 0x1p-24 : 0x1p-9;
  const auto longest = static_cast<double>(
      std::max({c.config.vocabulary, c.config.hidden, data.tokens.numel()}));
  return 4 * std::sqrt(products) * (u + std::sqrt(longest) * 0x1p-24);
}

double relative(const at::Tensor& actual, const at::Tensor& expected) {
  const double size = expected.norm().item<double>();
  const double off = (actual.to(at::kDouble) - expected).norm().item<double>();
  return off / size;
}

void expect_gradients(const Gradients& actual, const Reference& reference,
                      double allowed) {
  ASSERT_EQ(actual.size(), reference.gradients.size());
  for (const auto& [name, expected] : reference.gradients) {
    const double off = relative(actual.at(name), expected);
    EXPECT_LE(off, allowed) << name;
    EXPECT_GT(expected.norm().item<double>(), 0) << name;
  }
}

class FusedPassCase : public ::testing::TestWithParam<Case> {};

TEST_P(FusedPassCase, LossAndGradientsAreThoseOfThePlainModelInFloat64) {
  const Case& c = GetParam();
  const Data data = data_of(c);
  const Reference reference = reference_of(c, data);
  for (const Precision precision :
       {Precision::kFloat32, Precision::kBFloat16}) {
    const double allowed = bound(c, data, precision);
    for (const std::size_t threads : {1, 3}) {
      SCOPED_TRACE(std::string(precision_name(precision)) + ", threads " +
                   std::to_string(threads));
      const auto model = model_of(c.config);
      FusedPass pass(*model, {.precision = precision},
                     core::shared_pool(threads));
      const double loss = pass.add_gradients(data.tokens, data.targets);
      EXPECT_NEAR(loss, reference.loss, allowed * reference.loss);
      expect_gradients(gradients_of(*model), reference, allowed);
    }
  }
}

TEST_P(FusedPassCase, CheckpointingAndChunksChangeNoBit) {
  const Case& c = GetParam();
  const Data data = data_of(c);
  for (const Precision precision :
       {Precision::kFloat32, Precision::kBFloat16}) {
    const auto plain = model_of(c.config);
    FusedPass keeping(*plain, {.precision = precision}, core::shared_pool(2));
    const double loss = keeping.add_gradients(data.tokens, data.targets);
    const auto model = model_of(c.config);
    FusedPass pass(*model, {.precision = precision, .checkpointing = true},
                   core::shared_pool(2));
    for (int repeat = 0; repeat < 2; ++repeat) {
      EXPECT_EQ(pass.add_gradients(data.tokens, data.targets), loss);
      const Gradients expected = gradients_of(*plain);
      for (const auto& [name, gradient] : gradients_of(*model)) {
        EXPECT_TRUE(same_bits(gradient, expected.at(name))) << name;
      }
    }
  }
}

TEST_P(FusedPassCase, ChunksOfTheHeadAddUp) {
  const Case& c = GetParam();
  const Data data = data_of(c);
  const Reference reference = reference_of(c, data);
  const auto model = model_of(c.config);
  FusedPass pass(*model, {.head_rows = 5}, core::shared_pool(2));
  const double allowed = bound(c, data, Precision::kFloat32);
  EXPECT_NEAR(pass.add_gradients(data.tokens, data.targets), reference.loss,
              allowed * reference.loss);
  expect_gradients(gradients_of(*model), reference, allowed);
}

// Each token's own best word is a hit where its logit leads by more than
// rounding can change; the word after it is none where it is so far behind.
void expect_hits(FusedPass& pass, const Data& data, const at::Tensor& logits,
                 double allowed) {
  const std::int64_t vocabulary = logits.size(2);
  const auto [best, words] = logits.view({-1, vocabulary}).topk(2);
  const at::Tensor first = words.select(1, 0).contiguous();
  const at::Tensor next = (first + 1).remainder(vocabulary);
  const at::Tensor behind =
      best.select(1, 0) -
      logits.view({-1, vocabulary}).gather(1, next.unsqueeze(1)).squeeze(1);
  const at::Tensor lead = best.select(1, 0) - best.select(1, 1);
  const double doubt = 2 * allowed * best.abs().max().item<double>();
  std::vector<std::uint8_t> hits;
  std::vector<std::uint8_t> misses;
  const auto shape = data.tokens.sizes();
  (void)pass.losses(data.tokens, first.view(shape), &hits);
  (void)pass.losses(data.tokens, next.view(shape), &misses);
  std::int64_t leading = 0;
  std::int64_t trailing = 0;
  for (std::int64_t i = 0; i < lead.numel(); ++i) {
    if (lead[i].item<double>() > doubt) {
      ++leading;
      EXPECT_EQ(hits[static_cast<std::size_t>(i)], 1) << "token " << i;
    }
    if (behind[i].item<double>() > doubt) {
      ++trailing;
      EXPECT_EQ(misses[static_cast<std::size_t>(i)], 0) << "token " << i;
    }
  }
  EXPECT_GT(leading, 0);
  EXPECT_GE(2 * trailing, lead.numel());
}

TEST_P(FusedPassCase, LossesOfTokensAreThoseOfThePlainModel) {
  const Case& c = GetParam();
  const Data data = data_of(c);
  const auto model = model_of(c.config);
  FusedPass pass(*model, {}, core::shared_pool(2));
  const auto losses = pass.losses(data.tokens, data.targets);
  const auto twin = model_of(c.config);
  twin->to_double();
  const at::NoGradGuard no_grad;
  const at::Tensor logits = twin->forward(data.tokens);
  const at::Tensor expected =
      at::cross_entropy_loss(logits.view({-1, c.config.vocabulary}),
                             data.targets.view({-1}), {}, at::Reduction::None);
  const std::vector<double> values(losses.begin(), losses.end());
  expect_hits(pass, data, logits, bound(c, data, Precision::kFloat32));
  FusedPass narrow(*model, {.precision = Precision::kBFloat16},
                   core::shared_pool(2));
  expect_hits(narrow, data, logits, bound(c, data, Precision::kBFloat16));
  const double largest = expected.max().item<double>();
  EXPECT_TRUE(close(linalg::tensor_of(values), expected,
                    largest * bound(c, data, Precision::kFloat32)));
  for (const auto& item : model->named_parameters()) {
    EXPECT_FALSE(item.value().grad().defined()) << item.key();
  }
}

INSTANTIATE_TEST_SUITE_P(Models, FusedPassCase, ::testing::ValuesIn(cases()),
                         [](const auto& one) { return one.param.name; });

TEST(FusedPass, GradientsOfMicroBatchesAddUp) {
  const Case c{"", odd_config(), 4};
  const Data data = data_of(c);
  for (const int which : {0, 1, 2, 3}) {
    SCOPED_TRACE(which);
    Case one = c;
    one.config.tied_head = which % 2 == 1;
    one.config.scale_embedding = which > 1;
    const Reference expected = reference_of(one, data);
    const auto model = model_of(one.config);
    FusedPass pass(*model, {}, core::shared_pool(2));
    // What was there before must go.
    (void)pass.add_gradients(data.targets, data.tokens);
    double loss = 0;
    for (const std::int64_t part : {0, 1}) {
      loss += pass.add_gradients(data.tokens.narrow(0, 2 * part, 2),
                                 data.targets.narrow(0, 2 * part, 2), 0.5,
                                 part > 0) /
              2;
    }
    const double allowed = bound(one, data, Precision::kFloat32);
    EXPECT_NEAR(loss, expected.loss, allowed * expected.loss);
    expect_gradients(gradients_of(*model), expected, allowed);
  }
}

TEST(FusedPass, SeesThatAWeightHasChanged) {
  const Case c{"", odd_config()};
  const Data data = data_of(c);
  const auto model = model_of(c.config);
  FusedPass pass(*model, {}, core::shared_pool(2));
  const double before = pass.add_gradients(data.tokens, data.targets);
  const at::NoGradGuard no_grad;
  for (auto& item : model->named_parameters()) {
    const double old = pass.add_gradients(data.tokens, data.targets);
    item.value().mul_(1.25);
    FusedPass fresh(*model, {}, core::shared_pool(2));
    const double now = pass.add_gradients(data.tokens, data.targets);
    EXPECT_NE(now, old) << item.key();
    EXPECT_EQ(now, fresh.add_gradients(data.tokens, data.targets))
        << item.key();
  }
  EXPECT_NE(before, 0);
}

TEST(FusedPass, TakesNoMemoryInASteadyStep) {
  const Case c{"", odd_config()};
  const Data data = data_of(c);
  const auto model = model_of(c.config);
  FusedPass pass(*model, {}, core::shared_pool(2));
  (void)pass.add_gradients(data.tokens, data.targets);
  const std::size_t bytes = pass.memory_bytes();
  const void* gradient = model->weights().embedding.grad().const_data_ptr();
  for (int step = 0; step < 3; ++step) {
    (void)pass.add_gradients(data.tokens, data.targets);
    (void)pass.losses(data.tokens, data.targets);
  }
  EXPECT_EQ(pass.memory_bytes(), bytes);
  EXPECT_EQ(model->weights().embedding.grad().const_data_ptr(), gradient);
}

TEST(FusedPass, LargestLogitsAreThoseOfThePlainModel) {
  for (const bool norm : {false, true}) {
    Case c{"", odd_config()};
    c.config.qk_norm = norm;
    const Data data = data_of(c);
    const auto model = model_of(c.config);
    const auto twin = model_of(c.config);
    model->watch_logits(true);
    twin->watch_logits(true);
    FusedPass pass(*model, {}, core::shared_pool(2));
    (void)pass.add_gradients(data.tokens, data.targets);
    (void)twin->loss(data.tokens, data.targets);
    for (std::int64_t layer = 0; layer < c.config.layers; ++layer) {
      const at::Tensor expected = twin->largest_logits(layer);
      EXPECT_TRUE(close(model->largest_logits(layer), expected,
                        expected.abs().max().item<double>() *
                            bound(c, data, Precision::kFloat32)));
    }
  }
}

TEST(FusedPass, BadTokensAndShapesChangeNothing) {
  const Case c{"", odd_config()};
  const Data data = data_of(c);
  const auto model = model_of(c.config);
  FusedPass pass(*model, {}, core::shared_pool(2));
  (void)pass.add_gradients(data.tokens, data.targets);
  const Gradients before = gradients_of(*model);
  at::Tensor outside = data.targets.clone();
  outside.view({-1})[7] = c.config.vocabulary;
  const auto expect_refused = [&](const std::string& words,
                                  const at::Tensor& tokens,
                                  const at::Tensor& targets) {
    expect_error(ErrorKind::kInvalidArgument, {words},
                 [&] { (void)pass.add_gradients(tokens, targets); });
  };
  expect_refused(
      "targets: got 37 at place 7, expected 0 to below the vocabulary of 37",
      data.tokens, outside);
  outside.view({-1})[7] = -1;
  expect_refused("tokens: got -1 at place 7", outside, data.targets);
  expect_refused("expected that of the tokens", data.tokens,
                 data.targets.narrow(0, 0, 2));
  const at::Tensor longer = random_tokens({1, 20}, 37, 1);
  expect_refused("with length 1 to 19", longer, longer);
  for (const auto& [name, gradient] : gradients_of(*model)) {
    EXPECT_TRUE(same_bits(gradient, before.at(name))) << name;
  }
}

TEST(FusedPass, RefusesWhatItCannotCompute) {
  const auto model = model_of(odd_config());
  model->to_double();
  expect_error(ErrorKind::kUnsupported, {"Double", "train.layers=plain"},
               [&] { FusedPass(*model, {}, core::shared_pool(1)); });
  ModelConfig config = odd_config();
  config.dropout = 0.1;
  const auto dropping = model_of(config);
  expect_error(ErrorKind::kUnsupported, {"no dropout", "train.layers=plain"},
               [&] { FusedPass(*dropping, {}, core::shared_pool(1)); });
  config = odd_config();
  config.positions = "rotary_by_head";
  const auto by_head = model_of(config);
  expect_error(ErrorKind::kUnsupported,
               {"positions = rotary_by_head", "train.layers=plain"},
               [&] { FusedPass(*by_head, {}, core::shared_pool(1)); });
}

// Equal logits count for the first of them, in whatever chunk the others are.
TEST(FusedPass, ATokenIsHitWhenItsLogitIsTheFirstOfTheLargest) {
  Case c{"", odd_config()};
  c.config.vocabulary = 1000;
  const auto model = model_of(c.config);
  const at::NoGradGuard no_grad;
  at::Tensor head = model->weights().head;
  head.zero_();
  head[5].copy_(random_tensor({c.config.width}, 77));
  head[6].copy_(head[5]);
  head[999].copy_(head[5]);
  const at::Tensor tokens = data_of(c).tokens;
  // Where row 5's logit is negative, the zeros are ahead: token 0 is first.
  const at::Tensor fifth = model->forward(tokens).select(2, 5).flatten();
  for (const Precision precision :
       {Precision::kFloat32, Precision::kBFloat16}) {
    FusedPass pass(*model, {.precision = precision}, core::shared_pool(2));
    const double doubt =
        bound(c, data_of(c), precision) * fifth.abs().max().item<double>();
    std::map<bool, int> seen;
    for (const std::int64_t target : {0, 1, 5, 6, 999}) {
      std::vector<std::uint8_t> hits;
      (void)pass.losses(tokens, at::full_like(tokens, target), &hits);
      ASSERT_EQ(std::ssize(hits), tokens.numel());
      for (std::int64_t i = 0; i < tokens.numel(); ++i) {
        const double logit = fifth[i].item<double>();
        if (std::abs(logit) <= doubt) continue;  // rounding decides
        ++seen[logit > 0];
        EXPECT_EQ(hits[static_cast<std::size_t>(i)] == 1,
                  target == (logit > 0 ? 5 : 0))
            << "token " << i << ", target " << target;
      }
    }
    EXPECT_GT(seen[true], 0);
    EXPECT_GT(seen[false], 0);
  }
}

TEST(FusedPass, ANotFiniteWeightShowsInTheLoss) {
  const Case c{"", odd_config()};
  const Data data = data_of(c);
  const auto model = model_of(c.config);
  FusedPass pass(*model, {}, core::shared_pool(2));
  {
    const at::NoGradGuard no_grad;
    model->weights().blocks[0].down.view({-1})[3] = NAN;
  }
  EXPECT_FALSE(std::isfinite(pass.add_gradients(data.tokens, data.targets)));
}

TEST(FusedPass, ProfileCountsTheOperationsOfThePass) {
  Case c{"", odd_config()};
  const Data data = data_of(c);
  const auto model = model_of(c.config);
  FusedPass pass(*model, {}, core::shared_pool(1));
  (void)pass.add_gradients(data.tokens, data.targets);
  EXPECT_EQ(pass.profile().flops[0], 0);
  pass.set_profiling(true);
  (void)pass.add_gradients(data.tokens, data.targets);
  double flops = 0;
  double seconds = 0;
  for (std::size_t i = 0; i < PassProfile::kParts; ++i) {
    flops += pass.profile().flops[i];
    seconds += pass.profile().seconds[i];
  }
  // flops_per_token() counts 6 per weight, and two causal products forward and
  // four back; the kernel's backward pass computes the logits once more.
  const auto attention =
      static_cast<double>(c.config.layers * c.config.width * c.config.context);
  const auto tokens = static_cast<double>(data.tokens.numel());
  EXPECT_DOUBLE_EQ(flops, tokens * (flops_per_token(c.config) + attention));
  EXPECT_GT(seconds, 0);
  pass.reset_profile();
  EXPECT_EQ(pass.profile().seconds[5], 0);
}

}  // namespace
}  // namespace muonlab::nn
