// Every parameter's gradient against central differences in float64.
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "tests/nn/small_model.h"
#include "tests/support/tensors.h"

namespace muonlab::nn {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

struct Variant {
  std::string activation;
  std::string positions;
  bool tied;
  bool scaled;
};

std::string variant_name(const Variant& v) {
  return v.activation + "_" + v.positions + (v.tied ? "_tied" : "_untied") +
         (v.scaled ? "_scaled" : "");
}

void PrintTo(const Variant& v, std::ostream* out) { *out << variant_name(v); }

std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (const char* activation : {"swiglu", "silu"}) {
    for (const char* positions : {"rotary", "none"}) {
      for (const bool tied : {false, true}) {
        for (const bool scaled : {false, true}) {
          all.push_back({activation, positions, tied, scaled});
        }
      }
    }
  }
  return all;
}

class Gradient : public ::testing::TestWithParam<Variant> {};

// The derivative along `direction` (of unit length) by central differences.
double difference_quotient(const LanguageModel& model, at::Tensor parameter,
                           const at::Tensor& direction, double h,
                           const at::Tensor& tokens,
                           const at::Tensor& targets) {
  const at::NoGradGuard no_grad;
  const at::Tensor start = parameter.clone();
  const auto loss_at = [&](double t) {
    parameter.copy_(start + t * direction);
    return model.loss(tokens, targets).item<double>();
  };
  const double quotient = (loss_at(h) - loss_at(-h)) / (2 * h);
  parameter.copy_(start);
  return quotient;
}

TEST_P(Gradient, EqualsCentralDifferences) {
  ModelConfig config = testing::small_config();
  config.activation = GetParam().activation;
  config.positions = GetParam().positions;
  config.tied_head = GetParam().tied;
  config.scale_attention_by_layer = GetParam().scaled;
  const auto model = testing::small_model(config, 5);
  const at::Tensor tokens = testing::random_tokens({3, 6}, 7, 1);
  const at::Tensor targets = testing::random_tokens({3, 6}, 7, 2);
  const at::Tensor loss = model->loss(tokens, targets);
  loss.backward();

  // The error is h^2/6 |f'''| + eps |f| c / h; h = cbrt(eps) balances the two.
  // Third derivatives stay below 100 (weights of size 1/2 behind a norm), and
  // c = 16 stands for the depth of the sums inside the loss.
  const double h = std::cbrt(kEps);
  const double bound = h * h / 6 * 100 + kEps * loss.item<double>() * 16 / h;
  std::uint64_t seed = 40;
  for (const auto& item : model->named_parameters()) {
    const at::Tensor& parameter = item.value();
    ASSERT_TRUE(parameter.grad().defined()) << item.key();
    EXPECT_GT(parameter.grad().norm().item<double>(), 1e3 * bound)
        << item.key();
    const std::int64_t count = parameter.numel();
    const std::int64_t stride = std::max<std::int64_t>(1, count / 7);
    for (std::int64_t i = 0; i <= count; i += stride) {
      // Single entries, then one direction that sees all of them.
      const bool all = i + stride > count;
      at::Tensor direction = at::zeros_like(parameter).detach();
      if (all) {
        direction = testing::random_tensor(parameter.sizes(), ++seed);
        direction /= direction.norm();
      } else {
        direction.view({-1})[i] = 1;
      }
      const double expected =
          difference_quotient(*model, parameter, direction, h, tokens, targets);
      EXPECT_NEAR((parameter.grad() * direction).sum().item<double>(), expected,
                  bound)
          << item.key() << (all ? ", all entries" : ", entry ")
          << (all ? "" : std::to_string(i));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Gradient, ::testing::ValuesIn(variants()),
                         [](const auto& item) {
                           return variant_name(item.param);
                         });

}  // namespace
}  // namespace muonlab::nn
