// One training run of the study in docs/fashion-mnist.md: one optimizer, one
// rate, one seed. scripts/fashion_mnist_study calls it for each cell.
//
//   fashion_mnist_study --arm muon --lr 0.02 --aux-lr 0.002 --seed 1
//       --epochs 4 --batch 128 --threads 1 --split tune --data FOLDER
//
// Prints one line of JSON. At one seed every arm has the same initial weights
// and the same batches. Split "tune" measures on 10,000 of the training
// pictures, "test" on the test pictures, once; both train on the other 50,000.
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>

#include "fashion_mnist.h"
#include "muonlab/core/error.h"
#include "muonlab/formats/json.h"
#include "muonlab/optim/optimizer.h"
#include "muonlab/optim/route.h"
#include "muonlab/optim/schedule.h"

namespace {

namespace optim = muonlab::optim;

constexpr int64_t kHeldOut = 10'000;

using Flags = std::map<std::string, std::string>;

Flags parse(int argc, char** argv) {
  Flags flags{
      {"arm", "muon"},  {"lr", ""},        {"aux-lr", ""},
      {"seed", "0"},    {"epochs", "4"},   {"batch", "128"},
      {"threads", "1"}, {"split", "tune"}, {"data", "data/fashion-mnist"}};
  for (int i = 1; i < argc; i += 2) {
    const std::string word = argv[i];
    const auto flag =
        word.starts_with("--") ? flags.find(word.substr(2)) : flags.end();
    if (flag == flags.end() || i + 1 == argc) {
      throw std::invalid_argument(word + ": unknown, or its value is missing");
    }
    flag->second = argv[i + 1];
  }
  return flags;
}

// The arms: three optimizers for the same parameters. None decays weights.
std::unique_ptr<torch::optim::Optimizer> make_optimizer(
    const Flags& flags, const fashion::Network& network) {
  const std::string& arm = flags.at("arm");
  const double lr = std::stod(flags.at("lr"));
  if (arm == "sgd") {
    return std::make_unique<torch::optim::SGD>(
        network.parameters(),
        torch::optim::SGDOptions(lr).momentum(0.9).nesterov(true));
  }
  const auto everything = optim::adamw().lr(lr).weight_decay(0);
  optim::RouteOptions options{.hidden = everything,
                              .auxiliary = everything,
                              .overrides = {{"head.*", muonlab::Role::kHead}}};
  if (arm == "muon") {
    // Kernels and the hidden layer under Muon; head, gains and biases under
    // AdamW at a rate of their own.
    options.hidden = optim::muon().lr(lr).weight_decay(0);
    options.auxiliary.lr(std::stod(flags.at("aux-lr")));
  } else if (arm != "adamw") {
    throw std::invalid_argument("--arm " + arm + ": muon, adamw or sgd");
  }
  return std::make_unique<optim::Optimizer>(optim::route(network, options));
}

// The rates of the parameter groups, to be multiplied by the schedule.
std::vector<double> rates_of(torch::optim::Optimizer& optimizer) {
  std::vector<double> rates;
  for (auto& group : optimizer.param_groups()) {
    rates.push_back(group.options().get_lr());
  }
  return rates;
}

int run(const Flags& flags) {
  const bool tune = flags.at("split") == "tune";
  if (!tune && flags.at("split") != "test") {
    throw std::invalid_argument("--split " + flags.at("split") +
                                ": tune or test");
  }
  if (!fashion::is_there(flags.at("data"))) {
    std::cerr << flags.at("data") << " does not hold Fashion-MNIST: run "
              << "scripts/fashion-mnist\n";
    return 77;
  }
  torch::set_num_threads(std::stoi(flags.at("threads")));
  const auto seed = std::stoull(flags.at("seed"));
  const int64_t epochs = std::stoll(flags.at("epochs"));
  const int64_t batch_size = std::stoll(flags.at("batch"));

  // The same 50,000 and 10,000 in every run.
  const fashion::Data all = fashion::load(flags.at("data"), "train");
  const auto split =
      torch::randperm(all.size(), at::detail::createCPUGenerator(2017));
  const auto train_rows = split.slice(0, kHeldOut);

  torch::manual_seed(seed);
  fashion::Network network;
  const auto optimizer = make_optimizer(flags, network);
  const std::vector<double> rates = rates_of(*optimizer);

  const int64_t steps_per_epoch = train_rows.size(0) / batch_size;
  const int64_t steps = epochs * steps_per_epoch;
  const optim::Schedule schedule{.shape = optim::ScheduleShape::kLinear,
                                 .total = steps,
                                 .warmup = std::max<int64_t>(1, steps / 20)};
  auto shuffle = at::detail::createCPUGenerator(seed + 1'000'000);
  torch::Tensor order;
  double recent = 0;  // mean loss of the last 100 steps
  const auto start = std::chrono::steady_clock::now();
  for (int64_t step = 0; step < steps; ++step) {
    const int64_t at = step % steps_per_epoch;
    if (at == 0) {
      order = train_rows.index_select(
          0, torch::randperm(train_rows.size(0), shuffle));
    }
    const fashion::Data batch =
        all.rows(order.slice(0, at * batch_size, (at + 1) * batch_size));
    for (std::size_t g = 0; g < rates.size(); ++g) {
      optimizer->param_groups()[g].options().set_lr(rates[g] *
                                                    schedule.factor(step));
    }
    optimizer->zero_grad();
    const auto loss = torch::nn::functional::cross_entropy(
        network.forward(batch.pictures), batch.labels);
    loss.backward();
    optimizer->step();
    if (step >= steps - 100) recent += loss.item<double>() / 100;
  }
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - start;

  const fashion::Result result = fashion::evaluate(
      network, tune ? all.rows(split.slice(0, 0, kHeldOut))
                    : fashion::load(flags.at("data"), "t10k"));
  muonlab::formats::Json out;
  for (const auto& [name, value] : flags) {
    if (name != "data") out[name] = value;
  }
  out["loss"] = muonlab::formats::json_number(result.loss);
  out["accuracy"] = result.accuracy;
  out["train_loss"] = muonlab::formats::json_number(recent);
  out["steps"] = steps;
  out["seconds"] = seconds.count();
  std::cout << out.dump() << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(parse(argc, argv));
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 2;
  }
}
