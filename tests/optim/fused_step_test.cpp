// The step through the kernels: clipping inside it, and threads that change no
// bit.
#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/route.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace muonlab::optim {
namespace {

using testing::expect_error;
using testing::random_tensor;
using testing::same_bits;

RouteOptions with_rule(const std::string& name) {
  RouteOptions options;
  options.hidden = preset(name);
  if (const auto* r = std::get_if<MatrixRule>(&options.hidden.update());
      r != nullptr && r->qk_clip > 0) {
    options.hidden.set("qk_clip", 0);
  }
  return options;
}

std::vector<DescribedParameter> parameters(at::ScalarType type) {
  std::vector<DescribedParameter> all;
  const auto add = [&](const char* name, at::IntArrayRef shape, Role role,
                       std::vector<RowBlock> blocks = {}) {
    const at::Tensor w = random_tensor(shape, 20 + all.size()).to(type);
    all.push_back({name, w.clone().requires_grad_(), role, std::move(blocks)});
  };
  add("wide", {40, 170}, Role::kMatrix);
  add("tall", {90, 33}, Role::kMatrix);
  add("qkv", {48, 20}, Role::kMatrix,
      {{"query", 16}, {"key", 8}, {"query", 16}, {"key", 8}});
  add("embedding", {300, 40}, Role::kEmbedding);
  add("gain", {40}, Role::kGain);
  return all;
}

void set_gradients(const std::vector<DescribedParameter>& all, int step,
                   double scale) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    at::Tensor p = all[i].parameter;
    p.mutable_grad() =
        (random_tensor(p.sizes(),
                       100 + 10 * static_cast<std::uint64_t>(step) + i))
            .to(p.scalar_type())
            .mul(scale);
  }
}

std::vector<at::Tensor> weights(const std::vector<DescribedParameter>& all) {
  std::vector<at::Tensor> values;
  for (const auto& p : all) values.push_back(p.parameter.detach().clone());
  return values;
}

double norm_of(const std::vector<DescribedParameter>& all) {
  double squares = 0;
  for (const auto& p : all) {
    squares += p.parameter.grad().to(at::kDouble).square().sum().item<double>();
  }
  return std::sqrt(squares);
}

// Restores LibTorch's number of threads.
class Threads {
 public:
  explicit Threads(int count) : before_(at::get_num_threads()) {
    at::set_num_threads(count);
  }
  ~Threads() { at::set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

class FusedStep : public ::testing::TestWithParam<std::string> {};

// LibTorch's decompositions and norms are another matter.
bool goes_through_kernels(const std::string& name) {
  const UpdateRule rule = with_rule(name).hidden.update();
  if (!is_matrix_rule(rule)) return true;
  const auto* r = std::get_if<MatrixRule>(&rule);
  return r != nullptr && r->direction == Direction::kPolar &&
         r->polar.method == PolarMethod::kNewtonSchulz &&
         (r->scale == Scale::kExactRms ||
          shape_factor(r->scale, 2, 2).has_value());
}

TEST_P(FusedStep, ThreadsChangeNoBit) {
  if (!goes_through_kernels(GetParam())) {
    GTEST_SKIP() << "this rule's sums are LibTorch's";
  }
  std::vector<at::Tensor> expected;
  for (const int threads : {1, 2, 3}) {
    const Threads guard(threads);
    const auto all = parameters(at::kFloat);
    Optimizer optimizer(route(all, with_rule(GetParam())));
    for (int step = 0; step < 3; ++step) {
      set_gradients(all, step, 1);
      optimizer.step();
    }
    if (threads == 1) expected = weights(all);
    const auto got = weights(all);
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_TRUE(same_bits(got[i], expected[i]))
          << all[i].name << ", " << threads << " threads";
    }
  }
}

// The step scales as it reads: the same bits as scaled gradients.
TEST_P(FusedStep, ClippingIsThatOfScaledGradients) {
  for (const auto type : {at::kFloat, at::kDouble}) {
    const auto inside = parameters(type);
    const auto outside = parameters(type);
    Optimizer clipping(route(inside, with_rule(GetParam())));
    Optimizer plain(route(outside, with_rule(GetParam())));
    constexpr double kLimit = 3;
    clipping.set_max_gradient_norm(kLimit);
    for (int step = 0; step < 3; ++step) {
      // The last step's gradients are short enough.
      const double size = step == 2 ? 1e-3 : 1;
      set_gradients(inside, step, size);
      set_gradients(outside, step, size);
      clipping.step();
      EXPECT_NEAR(clipping.gradient_norm(), norm_of(inside),
                  1e-6 * norm_of(inside));
      EXPECT_EQ(clipping.clipped(), step != 2);
      if (clipping.clipped()) {
        for (const auto& p : outside) {
          at::Tensor gradient = p.parameter.grad();
          gradient.mul_(kLimit / clipping.gradient_norm());
        }
      }
      plain.step();
    }
    const auto a = weights(inside);
    const auto b = weights(outside);
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_TRUE(same_bits(a[i], b[i])) << inside[i].name;
    }
  }
}

std::string readable(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, FusedStep, ::testing::ValuesIn(preset_names()),
                         readable);

TEST(Optimizer, RefusesANormThatIsNone) {
  Optimizer optimizer(route(parameters(at::kFloat), with_rule("muon")));
  for (const double norm : {-1.0, std::numeric_limits<double>::quiet_NaN(),
                            std::numeric_limits<double>::infinity()}) {
    expect_error(ErrorKind::kInvalidArgument, {"largest gradient norm"},
                 [&] { optimizer.set_max_gradient_norm(norm); });
  }
}

// What a gradient that overflows float32's squares does.
TEST(Optimizer, NormsOfHugeGradientsDoNotOverflow) {
  const auto all = parameters(at::kFloat);
  Optimizer optimizer(route(all, with_rule("muon")));
  optimizer.set_max_gradient_norm(1);
  set_gradients(all, 0, 1e30);
  optimizer.step();
  EXPECT_NEAR(optimizer.gradient_norm(), norm_of(all), 1e-6 * norm_of(all));
  for (const auto& p : all) {
    EXPECT_TRUE(p.parameter.isfinite().all().item<bool>()) << p.name;
  }
}

}  // namespace
}  // namespace muonlab::optim
