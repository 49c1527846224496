// The least that training with Muon takes: ten lines in main between the data
// and the result. A small network learns y = sin(x0) * x1.
#include <torch/torch.h>

#include <iostream>

#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/route.h"

int main() {
  torch::manual_seed(0);
  const auto x = torch::randn({512, 2});
  const auto y = (x.select(1, 0).sin() * x.select(1, 1)).unsqueeze(1);
  // What a model that always says the mean would reach.
  const double variance = y.var().item<double>();

  torch::nn::Sequential model(torch::nn::Linear(2, 64), torch::nn::Tanh(),
                              torch::nn::Linear(64, 64), torch::nn::Tanh(),
                              torch::nn::Linear(64, 1));
  // The hidden matrices get Muon, the output layer and the biases AdamW.
  muonlab::optim::Optimizer optimizer(muonlab::optim::route(
      *model, {.hidden = muonlab::optim::muon().lr(0.01),
               .overrides = {{"4.weight", muonlab::Role::kHead}}}));
  torch::Tensor loss;
  for (int step = 0; step < 300; ++step) {
    optimizer.zero_grad();
    loss = torch::mse_loss(model->forward(x), y);
    loss.backward();
    optimizer.step();
  }

  std::cout << optimizer.plan() << "mean squared error " << loss.item<double>()
            << ", variance of the data " << variance << "\n";
  // Explaining 95 % of the variance counts as learned.
  return loss.item<double>() < 0.05 * variance ? 0 : 1;
}
