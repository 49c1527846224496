// Muon in a training loop of your own, with LibTorch's tools around it: a
// learning-rate scheduler, clipping of gradients, accumulation over
// micro-batches, and a step with a closure. The optimizer is a
// torch::optim::Optimizer, so nothing here is special to it.
#include <torch/torch.h>

#include <iostream>

#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/route.h"

namespace {

constexpr int kSteps = 60;
constexpr int kMicroBatches = 4;
constexpr int kMicroBatch = 32;
constexpr int kInputs = 16;
constexpr int kClasses = 8;

// Points around eight centres; the model names the centre.
struct Data {
  torch::Tensor centres = 2 * torch::randn({kClasses, kInputs});
  std::pair<torch::Tensor, torch::Tensor> batch() const {
    const auto labels = torch::randint(kClasses, {kMicroBatch});
    return {
        centres.index_select(0, labels) + torch::randn({kMicroBatch, kInputs}),
        labels};
  }
};

// The rate of each parameter group, as the scheduler left it.
void print_rates(int step, double loss, torch::optim::Optimizer& optimizer) {
  std::cout << "step " << step << ": loss " << loss << ", rates";
  for (auto& group : optimizer.param_groups()) {
    std::cout << " " << group.options().get_lr();
  }
  std::cout << "\n";
}

}  // namespace

int main() {
  torch::manual_seed(0);
  torch::nn::Sequential model(
      torch::nn::Linear(kInputs, 64), torch::nn::ReLU(),
      torch::nn::LayerNorm(torch::nn::LayerNormOptions({64})),
      torch::nn::Linear(64, kClasses));
  namespace optim = muonlab::optim;
  optim::Optimizer optimizer(optim::route(
      *model, {.hidden = optim::muonw().lr(4e-3),
               .auxiliary = optim::adamw().lr(4e-3),
               .overrides = {{"3.weight", muonlab::Role::kHead}}}));
  // A tenth of every group's rate with each twenty optimizer steps: LibTorch
  // lowers it with the 21st call, the 41st, and so on.
  torch::optim::StepLR scheduler(optimizer, /*step_size=*/20, /*gamma=*/0.1);

  const Data data;
  double first = 0;
  double last = 0;
  for (int step = 0; step < kSteps; ++step) {
    // Gradients add up in .grad() until zero_grad: dividing each loss makes
    // the sum the gradient of the mean over the whole batch.
    optimizer.zero_grad();
    last = 0;
    for (int micro = 0; micro < kMicroBatches; ++micro) {
      const auto [inputs, labels] = data.batch();
      const auto loss =
          torch::nn::functional::cross_entropy(model->forward(inputs), labels) /
          kMicroBatches;
      loss.backward();
      last += loss.item<double>();
    }
    // Muon's update has the same length whatever the gradient's; clipping
    // bounds what a step puts into the momentum, and AdamW's part.
    torch::nn::utils::clip_grad_norm_(model->parameters(), /*max_norm=*/1.0);
    optimizer.step();
    scheduler.step();
    if (step == 0) first = last;
    if (step % 10 == 9) print_rates(step + 1, last, optimizer);
  }

  // A step with a closure: it computes loss and gradients itself, and step
  // returns the loss from before the update.
  const auto [inputs, labels] = data.batch();
  const auto closure = [&, x = inputs, y = labels] {
    optimizer.zero_grad();
    const auto loss =
        torch::nn::functional::cross_entropy(model->forward(x), y);
    loss.backward();
    return loss;
  };
  const double before = optimizer.step(closure).item<double>();
  const double after = closure().item<double>();
  std::cout << "closure step: loss " << before << " -> " << after << "\n";

  const double rate = optimizer.param_groups()[0].options().get_lr();
  const bool decayed = std::abs(rate - 4e-5) < 1e-12;  // 4e-3, lowered twice
  std::cout << "loss fell from " << first << " to " << last << "\n";
  return last < first / 4 && after < before && decayed ? 0 : 1;
}
