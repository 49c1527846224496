// Stop a training run and go on later: weights and optimizer state are saved,
// a new model and a new optimizer load them, and end bitwise where a run that
// was never stopped ends. Returns 1 if a single bit differs.
#include <torch/torch.h>

#include <iostream>

#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/route.h"

namespace {

constexpr int kSteps = 60;
constexpr int kStopAfter = 25;
constexpr const char* kWeights = "save_resume_weights.pt";
constexpr const char* kState = "save_resume_state.safetensors";

// All that a run consists of. Nothing survives it but what it saves.
struct Run {
  explicit Run(uint64_t seed)
      : model(
            (torch::manual_seed(seed),
             torch::nn::Sequential(torch::nn::Linear(8, 32), torch::nn::GELU(),
                                   torch::nn::Linear(32, 32), torch::nn::GELU(),
                                   torch::nn::Linear(32, 1)))),
        optimizer(muonlab::optim::route(
            *model, {.hidden = muonlab::optim::muon().lr(0.02),
                     .auxiliary = muonlab::optim::adamw().lr(1e-2),
                     .overrides = {{"4.weight", muonlab::Role::kHead}}})) {}

  // Steps `from` to `to` - 1; returns the last loss. The batch depends on the
  // step alone, so that a resumed run sees the batches it would have seen.
  double train(int from, int to) {
    double last = 0;
    for (int step = from; step < to; ++step) {
      auto generator =
          at::detail::createCPUGenerator(static_cast<uint64_t>(step));
      const auto x = torch::randn({64, 8}, generator);
      const auto y = x.slice(1, 0, 2).sum(1, /*keepdim=*/true).tanh();
      // The schedule is a function of the step too: no state to save.
      optimizer.set_lr_factor(1.0 - static_cast<double>(step) / kSteps);
      optimizer.zero_grad();
      const auto loss = torch::mse_loss(model->forward(x), y);
      loss.backward();
      optimizer.step();
      last = loss.item<double>();
      if (step == 0) first_loss = last;
    }
    return last;
  }

  torch::nn::Sequential model;
  muonlab::optim::Optimizer optimizer;
  double first_loss = 0;
};

}  // namespace

int main() {
  Run uninterrupted(/*seed=*/1);
  const double expected = uninterrupted.train(0, kSteps);

  {
    Run stopped(/*seed=*/1);
    stopped.train(0, kStopAfter);
    torch::save(stopped.model, kWeights);
    stopped.optimizer.save(kState);
  }

  // Another seed: what is not loaded would show.
  Run resumed(/*seed=*/2);
  torch::load(resumed.model, kWeights);
  resumed.optimizer.load(kState);
  const double loss = resumed.train(kStopAfter, kSteps);

  int different = 0;
  const auto theirs = uninterrupted.model->named_parameters();
  for (const auto& parameter : resumed.model->named_parameters()) {
    if (torch::equal(parameter.value(), theirs[parameter.key()])) continue;
    std::cout << parameter.key() << " differs\n";
    ++different;
  }
  std::cout << "loss from " << uninterrupted.first_loss << " to " << expected
            << " in " << kSteps << " steps; stopped after " << kStopAfter
            << " and resumed: " << loss << "; " << different << " of "
            << theirs.size() << " parameters differ\n";
  return different == 0 && loss == expected &&
                 expected < uninterrupted.first_loss / 4
             ? 0
             : 1;
}
