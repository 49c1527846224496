// One step of every rule on the matrices of a transformer block, beside
// LibTorch's own optimizers.
#include <benchmark/benchmark.h>
#include <torch/torch.h>

#include <string>
#include <vector>

#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/route.h"

namespace {

namespace optim = muonlab::optim;

// Random weights and gradients; the gradients stay the same.
std::vector<optim::DescribedParameter> block() {
  torch::manual_seed(1);
  std::vector<optim::DescribedParameter> all;
  const auto add = [&](const char* name, std::int64_t rows,
                       std::int64_t columns,
                       std::vector<muonlab::RowBlock> blocks = {}) {
    at::Tensor w = (torch::randn({rows, columns}) * 0.02).requires_grad_();
    w.mutable_grad() = torch::randn({rows, columns}) * 1e-3;
    all.push_back({name, w, muonlab::Role::kMatrix, std::move(blocks)});
  };
  add("qkv", 768, 256, muonlab::query_key_value(256, 256, 256));
  add("output", 256, 256);
  add("gate_up", 1376, 256, {{"gate", 688}, {"up", 688}});
  add("down", 256, 688);
  return all;
}

void count(benchmark::State& state) {
  std::int64_t values = 0;
  for (const auto& p : block()) values += p.parameter.numel();
  state.SetItemsProcessed(state.iterations() * values);
}

void rule_step(benchmark::State& state, const std::string& rule) {
  optim::RouteOptions options;
  options.hidden = optim::preset(rule);
  if (rule == "muonclip") options.hidden.set("qk_clip", 0);
  optim::Optimizer optimizer(optim::route(block(), options));
  optimizer.step();  // makes the state
  for (auto unused : state) optimizer.step();
  count(state);
}

template <typename Optimizer, typename Options>
void torch_step(benchmark::State& state, const Options& options) {
  std::vector<at::Tensor> parameters;
  for (const auto& p : block()) parameters.push_back(p.parameter);
  Optimizer optimizer(parameters, options);
  optimizer.step();
  for (auto unused : state) optimizer.step();
  count(state);
}

// Muon as one writes it with LibTorch's operators.
void torch_ops_step(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const auto parameters = block();
  std::vector<at::Tensor> buffers;
  for (const auto& p : parameters) {
    buffers.push_back(torch::zeros_like(p.parameter));
  }
  for (auto unused : state) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const at::Tensor& g = parameters[i].parameter.grad();
      buffers[i].lerp_(g, 0.05);
      const at::Tensor direction = g.lerp(buffers[i], 0.95);
      const auto& blocks = parameters[i].blocks;
      std::int64_t row = 0;
      for (std::size_t b = 0; b < std::max<std::size_t>(blocks.size(), 1);
           ++b) {
        const std::int64_t rows =
            blocks.empty() ? direction.size(0) : blocks[b].rows;
        const at::Tensor part = direction.narrow(0, row, rows);
        const bool tall = part.size(0) > part.size(1);
        at::Tensor x = tall ? part.t() : part;
        x = x / (x.norm() + 1e-7);
        for (int step = 0; step < 5; ++step) {
          const at::Tensor a = torch::mm(x, x.t());
          const at::Tensor z = torch::addmm(a, a, a, -4.7750, 2.0315);
          x = torch::addmm(x, z, x, 3.4445);
        }
        parameters[i]
            .parameter.detach()
            .narrow(0, row, rows)
            .add_(tall ? x.t() : x, -0.02);
        row += rows;
      }
    }
  }
  count(state);
}

void register_all() {
  const auto row = [](const std::string& name, auto function) {
    benchmark::RegisterBenchmark(name.c_str(), function)
        ->Unit(benchmark::kMillisecond);
  };
  for (const std::string& rule : optim::preset_names()) {
    row("step/" + rule,
        [rule](benchmark::State& state) { rule_step(state, rule); });
  }
  row("step/muon/torch-ops", torch_ops_step);
  row("step/adamw/torch", [](benchmark::State& state) {
    torch_step<torch::optim::AdamW>(state, torch::optim::AdamWOptions(1e-3));
  });
  row("step/sgd/torch", [](benchmark::State& state) {
    torch_step<torch::optim::SGD>(state,
                                  torch::optim::SGDOptions(1e-2).momentum(0.9));
  });
}

}  // namespace

int main(int argc, char** argv) {
  register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
