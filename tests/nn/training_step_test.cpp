// Whole training steps against the same written with ATen operators alone:
// own forward pass, clipping, Newton-Schulz and AdamW, in float64.
#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/route.h"
#include "tests/nn/small_model.h"
#include "tests/support/tensors.h"

namespace muonlab::nn {
namespace {

using Weights = std::map<std::string, at::Tensor>;

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr double kMuonRate = 0.02;
constexpr double kMuonDecay = 0.1;
constexpr double kAdamRate = 3e-3;
constexpr double kAdamDecay = 0.2;
constexpr double kClip = 0.5;
constexpr int kSteps = 3;

at::Tensor plain_norm(const at::Tensor& x, const at::Tensor& gain, double eps) {
  return x * (x * x).mean({-1}, true).add(eps).rsqrt() * gain;
}

// x (batch, heads, tokens, features)
at::Tensor plain_rotation(const at::Tensor& x, double theta) {
  const std::int64_t half = x.size(3) / 2;
  const at::Tensor j = at::arange(half, at::kDouble);
  const at::Tensor angle =
      at::arange(x.size(2), at::kDouble).unsqueeze(1) *
      (j * (-std::log(theta) / static_cast<double>(half))).exp();
  const at::Tensor a = x.narrow(3, 0, half);
  const at::Tensor b = x.narrow(3, half, half);
  return at::cat(
      {a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()},
      3);
}

at::Tensor plain_attention(const at::Tensor& x, const at::Tensor& qkv,
                           const ModelConfig& c) {
  const std::int64_t batch = x.size(0);
  const std::int64_t tokens = x.size(1);
  const std::int64_t features = c.width / c.heads;
  std::vector<at::Tensor> parts;
  for (const at::Tensor& weight : qkv.chunk(3, 0)) {
    parts.push_back(at::matmul(x, weight.t())
                        .view({batch, tokens, c.heads, features})
                        .transpose(1, 2));
  }
  const at::Tensor q = plain_rotation(parts[0], c.rope_theta);
  const at::Tensor k = plain_rotation(parts[1], c.rope_theta);
  const at::Tensor logits = at::matmul(q, k.transpose(2, 3)) /
                            std::sqrt(static_cast<double>(features));
  const at::Tensor later =
      at::ones({tokens, tokens}, at::kDouble).triu(1).to(at::kBool);
  const at::Tensor shares =
      logits.masked_fill(later, -std::numeric_limits<double>::infinity())
          .softmax(-1);
  return at::matmul(shares, parts[2])
      .transpose(1, 2)
      .reshape({batch, tokens, c.width});
}

at::Tensor plain_loss(const Weights& w, const ModelConfig& c,
                      const at::Tensor& tokens, const at::Tensor& targets) {
  at::Tensor x = w.at("embedding")
                     .index_select(0, tokens.reshape({-1}))
                     .view({tokens.size(0), tokens.size(1), c.width});
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    const std::string block = "blocks." + std::to_string(layer) + ".";
    const auto get = [&](const char* name) { return w.at(block + name); };
    at::Tensor y = plain_norm(x, get("attention_norm.weight"), c.norm_eps);
    x = x + at::matmul(plain_attention(y, get("attention.qkv"), c),
                       get("attention.output").t());
    y = plain_norm(x, get("feed_forward_norm.weight"), c.norm_eps);
    const auto inner =
        at::matmul(y, get("feed_forward.gate_up").t()).chunk(2, -1);
    x = x + at::matmul(inner[0] * inner[0].sigmoid() * inner[1],
                       get("feed_forward.down").t());
  }
  const at::Tensor logits = at::matmul(
      plain_norm(x, w.at("norm.weight"), c.norm_eps), w.at("head").t());
  const at::Tensor picked = logits.gather(2, targets.unsqueeze(2)).squeeze(2);
  return (logits.logsumexp({2}) - picked).mean();
}

at::Tensor plain_newton_schulz(const at::Tensor& g) {
  if (g.size(0) > g.size(1)) return plain_newton_schulz(g.t()).t();
  at::Tensor x = g / ((g * g).sum().sqrt() + 1e-7);
  for (int step = 0; step < 5; ++step) {
    const at::Tensor a = at::mm(x, x.t());
    x = 3.4445 * x + at::mm(-4.7750 * a + 2.0315 * at::mm(a, a), x);
  }
  return x;
}

struct PlainState {
  Weights first;
  Weights second;
};

// Muon (EMA, Nesterov, s2) on the blocks' matrices, AdamW on the rest.
void plain_update(Weights& w, const Weights& gradients, PlainState& state,
                  int step) {
  for (auto& [name, weight] : w) {
    const at::Tensor& g = gradients.at(name);
    at::Tensor& m =
        state.first.try_emplace(name, at::zeros_like(g)).first->second;
    if (name.rfind("blocks.", 0) == 0 && weight.dim() == 2) {
      m = 0.95 * m + (1 - 0.95) * g;
      const at::Tensor u = (1 - 0.95) * g + 0.95 * m;
      weight = weight.detach() * (1 - kMuonRate * kMuonDecay);
      const bool qkv = name.find("qkv") != std::string::npos;
      const bool gate = name.find("gate_up") != std::string::npos;
      std::vector<at::Tensor> parts;
      for (const at::Tensor& part : u.chunk(qkv ? 3 : gate ? 2 : 1, 0)) {
        const double ratio = static_cast<double>(part.size(0)) /
                             static_cast<double>(part.size(1));
        parts.push_back(plain_newton_schulz(part) *
                        std::sqrt(std::max(1.0, ratio)));
      }
      weight = weight - kMuonRate * at::cat(parts, 0);
    } else {
      at::Tensor& v =
          state.second.try_emplace(name, at::zeros_like(g)).first->second;
      m = 0.9 * m + (1 - 0.9) * g;
      v = 0.95 * v + (1 - 0.95) * g * g;
      weight = weight.detach() * (1 - kAdamRate * kAdamDecay);
      weight = weight - kAdamRate * (m / (1 - std::pow(0.9, step))) /
                            ((v / (1 - std::pow(0.95, step))).sqrt() + 1e-8);
    }
  }
}

// One step; true when the gradient was clipped.
bool plain_step(Weights& w, PlainState& state, const ModelConfig& config,
                const at::Tensor& tokens, const at::Tensor& targets, int step) {
  for (auto& [name, weight] : w) {
    weight = weight.detach().clone().requires_grad_();
  }
  plain_loss(w, config, tokens, targets).backward();
  Weights gradients;
  double squares = 0;
  for (const auto& [name, weight] : w) {
    gradients[name] = weight.grad().clone();
    squares += weight.grad().square().sum().item<double>();
  }
  const at::NoGradGuard no_grad;
  const double norm = std::sqrt(squares);
  for (auto& [name, g] : gradients) {
    if (norm > kClip) g = g * (kClip / norm);
  }
  plain_update(w, gradients, state, step);
  return norm > kClip;
}

TEST(TrainingStep, EqualsPlainCodeForEveryParameter) {
  const ModelConfig config = testing::small_config();
  const auto model = testing::small_model(config, 6);
  Weights plain;
  for (const auto& item : model->named_parameters()) {
    plain[item.key()] = item.value().detach().clone();
  }
  const Weights start = plain;
  PlainState state;
  optim::Optimizer optimizer(
      optim::route(*model, optim::muon().lr(kMuonRate).weight_decay(kMuonDecay),
                   optim::adamw().lr(kAdamRate).weight_decay(kAdamDecay)));
  int clipped = 0;
  for (int step = 1; step <= kSteps; ++step) {
    const auto seed = static_cast<std::uint64_t>(step);
    const at::Tensor tokens = testing::random_tokens({4, 6}, 7, seed);
    const at::Tensor targets = testing::random_tokens({4, 6}, 7, 100 + seed);
    optimizer.zero_grad();
    model->loss(tokens, targets).backward();
    double squares = 0;
    for (const at::Tensor& p : model->parameters()) {
      squares += p.grad().square().sum().item<double>();
    }
    for (const at::Tensor& p : model->parameters()) {
      if (std::sqrt(squares) > kClip) p.grad().mul_(kClip / std::sqrt(squares));
    }
    optimizer.step();
    clipped += plain_step(plain, state, config, tokens, targets, step) ? 1 : 0;
  }
  EXPECT_GT(clipped, 0);
  // Both gradients carry some 64 roundings relative to their norm. Entries of
  // AdamW's step and of the polar factor divide by their own size: entries
  // down to 1e-6 of the norm are taken to count.
  const double bound = kSteps * kMuonRate * 2 * 64 * kEps / 1e-6;
  EXPECT_LT(bound, kAdamRate / 100);  // or it could not fail
  for (const auto& item : model->named_parameters()) {
    EXPECT_TRUE(testing::close(item.value(), plain.at(item.key()), bound))
        << item.key();
    EXPECT_FALSE(
        testing::close(item.value(), start.at(item.key()), 100 * bound))
        << item.key();
  }
}

}  // namespace
}  // namespace muonlab::nn
