// An attention module of your own whose query, key and value projections are
// one fused weight. Muon orthogonalises matrices; the fused weight is three of
// them, so the module says where each begins by deriving from DeclaresRoles.
#include <torch/torch.h>

#include <iostream>

#include "muonlab/linalg/roles.h"
#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/route.h"

namespace {

constexpr int64_t kVocabulary = 16;
constexpr int64_t kLength = 12;
constexpr int64_t kWidth = 32;

// Causal attention with one head.
struct AttentionImpl : torch::nn::Module, muonlab::DeclaresRoles {
  AttentionImpl() {
    const double bound = 1 / std::sqrt(static_cast<double>(kWidth));
    qkv = register_parameter(
        "qkv", torch::empty({3 * kWidth, kWidth}).uniform_(-bound, bound));
    out = register_module("out", torch::nn::Linear(kWidth, kWidth));
  }

  // Without this, routing fails: no rule knows what a parameter "qkv" is.
  // Without the blocks, the three would be orthogonalised as one matrix.
  std::vector<muonlab::ParameterDeclaration> declared_roles() const override {
    return {{"qkv",
             muonlab::Role::kMatrix,
             {{"query", kWidth}, {"key", kWidth}, {"value", kWidth}}}};
  }

  torch::Tensor forward(const torch::Tensor& x) {  // (batch, length, width)
    const auto parts = torch::matmul(x, qkv.t()).chunk(3, -1);
    return out(torch::scaled_dot_product_attention(
        parts[0], parts[1], parts[2], /*attn_mask=*/{}, /*dropout_p=*/0.0,
        /*is_causal=*/true));
  }
  torch::Tensor qkv;
  torch::nn::Linear out{nullptr};
};
TORCH_MODULE(Attention);

struct Model : torch::nn::Module {
  Model() {
    tokens =
        register_module("tokens", torch::nn::Embedding(kVocabulary, kWidth));
    positions =
        register_module("positions", torch::nn::Embedding(kLength, kWidth));
    attention = register_module("attention", Attention());
    norm = register_module(
        "norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({kWidth})));
    head = register_module("head", torch::nn::Linear(kWidth, kVocabulary));
  }
  torch::Tensor forward(const torch::Tensor& text) {
    const auto x = tokens(text) + positions(torch::arange(kLength));
    return head(norm(x + attention(x)));
  }
  torch::nn::Embedding tokens{nullptr};
  torch::nn::Embedding positions{nullptr};
  Attention attention{nullptr};
  torch::nn::LayerNorm norm{nullptr};
  torch::nn::Linear head{nullptr};
};

}  // namespace

int main() {
  torch::manual_seed(0);
  Model model;
  namespace optim = muonlab::optim;
  const optim::Plan plan =
      optim::route(model, {.hidden = optim::muon().lr(0.02),
                           .auxiliary = optim::adamw().lr(1e-2),
                           .overrides = {{"head.*", muonlab::Role::kHead}}});
  std::cout << plan;  // attention.qkv has three logical matrices
  optim::Optimizer optimizer(plan);

  // Each position is to name the token before it: only attention can look
  // there.
  double loss_now = 0;
  for (int step = 0; step < 120; ++step) {
    const auto text = torch::randint(kVocabulary, {64, kLength});
    const auto logits = model.forward(text).slice(1, 1);
    optimizer.zero_grad();
    const auto loss = torch::nn::functional::cross_entropy(
        logits.reshape({-1, kVocabulary}), text.slice(1, 0, -1).reshape({-1}));
    loss.backward();
    optimizer.step();
    loss_now = loss.item<double>();
    if (step % 20 == 19) {
      std::cout << "step " << step + 1 << ": loss " << loss_now << "\n";
    }
  }
  std::size_t matrices = 0;
  for (const optim::Route& route : plan.routes) {
    if (route.name == "attention.qkv") matrices = route.matrices.size();
  }
  std::cout << "guessing would reach " << std::log(kVocabulary) << "\n";
  return matrices == 3 && loss_now < 0.5 ? 0 : 1;
}
