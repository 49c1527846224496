// Your own model and loop with Muon: a small image classifier of LibTorch
// modules on made-up data. Prints the routing table, then the falling loss.
#include <torch/torch.h>

#include <iostream>

#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/route.h"

namespace {

struct Classifier : torch::nn::Module {
  Classifier() {
    convolution = register_module(
        "convolution",
        torch::nn::Conv2d(torch::nn::Conv2dOptions(1, 8, 3).padding(1)));
    hidden = register_module("hidden", torch::nn::Linear(8 * 8 * 8, 64));
    head = register_module("head", torch::nn::Linear(64, 4));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    const auto features = torch::relu(convolution(x)).flatten(1);
    return head(torch::relu(hidden(features)));
  }
  torch::nn::Conv2d convolution{nullptr};
  torch::nn::Linear hidden{nullptr};
  torch::nn::Linear head{nullptr};
};

}  // namespace

int main() {
  torch::manual_seed(0);
  auto model = std::make_shared<Classifier>();

  // A Linear may be a hidden matrix or an output layer; only you know, so the
  // head is named.
  namespace optim = muonlab::optim;
  const optim::Plan plan =
      optim::route(*model, {.hidden = optim::muon().lr(0.02),
                            .auxiliary = optim::adamw().lr(3e-3),
                            .overrides = {{"head.*", muonlab::Role::kHead}}});
  std::cout << plan;
  optim::Optimizer optimizer(plan);

  // Four classes: which quarter of the picture is bright.
  const auto labels = torch::randint(4, {256});
  auto pictures = 0.5 * torch::randn({256, 1, 8, 8});
  for (int i = 0; i < 256; ++i) {
    const auto quarter = labels[i].item<int64_t>();
    pictures[i]
        .slice(1, quarter / 2 * 4, quarter / 2 * 4 + 4)
        .slice(2, quarter % 2 * 4, quarter % 2 * 4 + 4) += 0.5;
  }

  double first = 0;
  double loss_now = 0;
  for (int step = 0; step < 40; ++step) {
    optimizer.zero_grad();
    const auto loss =
        torch::nn::functional::cross_entropy(model->forward(pictures), labels);
    loss.backward();
    optimizer.step();
    loss_now = loss.item<double>();
    if (step == 0) first = loss_now;
    if (step % 10 == 9) {
      std::cout << "step " << step + 1 << ": loss " << loss_now << "\n";
    }
  }
  optimizer.save("own_model_state.safetensors");
  // A fall to a tenth says that the updates go the right way.
  return loss_now < first / 10 ? 0 : 1;
}
