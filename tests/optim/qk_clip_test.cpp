#include "muonlab/optim/qk_clip.h"

#include <torch/torch.h>

#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/route.h"
#include "tests/optim/parameters_module.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace muonlab::optim {
namespace {

using testing::expect_error;
using testing::Parameters;
using testing::random_tensor;
using testing::same_bits;
using testing::set_gradient;

// Largest logit per query head of x (tokens, width) under rows of query and
// key, written out.
at::Tensor logits(const at::Tensor& x, const at::Tensor& query,
                  const at::Tensor& key, std::int64_t heads,
                  std::int64_t key_heads) {
  const std::int64_t d = query.size(0) / heads;
  std::vector<at::Tensor> largest;
  for (std::int64_t h = 0; h < heads; ++h) {
    const at::Tensor q = torch::mm(x, query.slice(0, h * d, (h + 1) * d).t());
    const std::int64_t g = h / (heads / key_heads);
    const at::Tensor k = torch::mm(x, key.slice(0, g * d, (g + 1) * d).t());
    largest.push_back(torch::mm(q, k.t()).max() / std::sqrt(double(d)));
  }
  return torch::stack(largest);
}

TEST(QkClip, LeavesExactlyTheThresholdOnTheSameBatch) {
  for (const std::int64_t key_heads : {4, 2, 1}) {
    const at::Tensor x = random_tensor({9, 8}, 1);
    at::Tensor query = random_tensor({4 * 3, 8}, 2);
    at::Tensor key = random_tensor({key_heads * 3, 8}, 3);
    const at::Tensor before = logits(x, query, key, 4, key_heads);
    // Between the second and the third largest: two heads are clipped.
    const double threshold =
        std::get<0>(torch::sort(before, 0, /*descending=*/true))
            .slice(0, 1, 3)
            .mean()
            .item<double>();
    const at::Tensor key_before = key.clone();
    EXPECT_EQ(
        qk_clip_(
            query, key,
            {.name = "a", .heads = 4, .key_heads = key_heads, .head_rows = 3},
            before, threshold),
        2);
    const at::Tensor after = logits(x, query, key, 4, key_heads);
    // Two square roots and their product: a handful of roundings.
    const double bound = 64 * 2.3e-16 * before.max().item<double>();
    for (std::int64_t h = 0; h < 4; ++h) {
      const double was = before[h].item<double>();
      EXPECT_NEAR(after[h].item<double>(), std::min(was, threshold), bound)
          << h << " of " << key_heads;
    }
    EXPECT_EQ(same_bits(key, key_before), key_heads != 4)
        << "shared key heads stay";
  }
}

struct Attention {
  Parameters module;
  at::Tensor qkv;
  at::Tensor largest = torch::tensor({250.0, 50.0});

  Attention() {
    qkv = module.add("qkv", random_tensor({12, 4}, 1), Role::kMatrix,
                     query_key_value(4, 4, 4));
  }
  AttentionSource source() {
    return {.layout = {.name = "attention",
                       .query = "qkv",
                       .query_row = 0,
                       .key = "qkv",
                       .key_row = 4,
                       .heads = 2,
                       .key_heads = 2,
                       .head_rows = 2},
            .largest = [this] { return largest; }};
  }
};

TEST(QkClip, HappensAfterTheStepOnTheHeadsThatExceed) {
  Attention clipped;
  Attention plain;
  Optimizer with(route(clipped.module, preset("muonclip")));
  with.set_attention({clipped.source()});
  Optimizer without(route(plain.module, muonw()));
  const at::Tensor gradient = random_tensor({12, 4}, 5);
  set_gradient(clipped.qkv, gradient);
  set_gradient(plain.qkv, gradient);
  with.step();
  without.step();
  EXPECT_EQ(with.clipped_heads(), 1);
  at::Tensor expected = plain.qkv.detach().clone();
  const double root = std::sqrt(100.0 / 250.0);
  expected.slice(0, 0, 2).mul_(root);
  expected.slice(0, 4, 6).mul_(root);
  EXPECT_TRUE(same_bits(clipped.qkv.detach(), expected));
}

TEST(QkClip, NeedsAnAttentionThatReports) {
  Attention a;
  Optimizer optimizer(route(a.module, preset("muonclip")));
  set_gradient(a.qkv, random_tensor({12, 4}, 5));
  const at::Tensor before = a.qkv.detach().clone();
  expect_error(ErrorKind::kInvalidArgument, {"qk_clip", "set_attention"},
               [&] { optimizer.step(); });
  EXPECT_TRUE(same_bits(a.qkv.detach(), before));
  AttentionSource wrong = a.source();
  wrong.layout.key_row = 11;
  expect_error(ErrorKind::kInvalidArgument, {"'attention'", "'qkv'", "[12, 4]"},
               [&] { optimizer.set_attention({wrong}); });
  wrong = a.source();
  wrong.layout.query = "qvk";
  expect_error(ErrorKind::kInvalidArgument, {"'qvk'", "'qkv'"},
               [&] { optimizer.set_attention({wrong}); });
}

}  // namespace
}  // namespace muonlab::optim
