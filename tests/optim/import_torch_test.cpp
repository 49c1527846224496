// States that PyTorch 2.13 saved (tests/conformance/torch_states.py wrote
// tests/golden/torch): continued here, compared with what PyTorch did next.
#include "muonlab/optim/import_torch.h"

#include <torch/torch.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "muonlab/core/files.h"
#include "muonlab/optim/route.h"
#include "tests/optim/parameters_module.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace muonlab::optim {
namespace {

using formats::Json;
using testing::expect_error;
using testing::Parameters;
using testing::set_gradient;

const std::filesystem::path kFolder =
    std::filesystem::path(MUONLAB_ROOT) / "tests/golden/torch";

at::Tensor tensor(const Json& values, at::IntArrayRef shape) {
  std::vector<double> numbers;
  for (const Json& v : values) numbers.push_back(v.get<double>());
  return linalg::tensor_of(numbers).view(shape);
}

// The parameters of a file under the rules that it names.
struct Continued {
  Json about;
  Parameters module;
  std::map<std::string, at::Tensor> weights;
  std::vector<std::string> names;
  std::unique_ptr<Optimizer> optimizer;

  explicit Continued(const std::string& file, at::ScalarType type,
                     const std::string& rule = "")
      : about(formats::read_json(kFolder / (file + ".json"))) {
    RouteOptions routing;
    for (const Json& p : about["parameters"]) {
      const auto name = p["name"].get<std::string>();
      // Dots are for submodules; this module is flat.
      names.push_back(name);
      const auto shape = p["shape"].get<std::vector<std::int64_t>>();
      parameters.push_back({name,
                            tensor(p["w"], shape).to(type),
                            shape.size() == 2 ? Role::kMatrix : Role::kVector,
                            {}});
      parameters.back().parameter.set_requires_grad(true);
      weights[name] = parameters.back().parameter;
      GroupOverrides overrides;
      overrides.rule = rule.empty() ? about["rule"].get<std::string>() : rule;
      for (const auto& item : p["options"].items()) {
        if (item.key() == "lr") {
          overrides.lr = item.value().get<double>();
        } else if (item.key() == "weight_decay") {
          overrides.weight_decay = item.value().get<double>();
        } else if (rule.empty()) {
          overrides.options[item.key()] =
              option_from_json(item.value(), item.key());
        }
      }
      if (overrides.rule == "torch-muon") {
        overrides.options["polar_dtype"] = std::string("float64");
      }
      routing.groups.push_back({"group of " + name, name, overrides});
    }
    optimizer = std::make_unique<Optimizer>(route(parameters, routing));
  }
  void step(const Json& later) {
    for (auto& [name, w] : weights) {
      w.mutable_grad() = at::Tensor();
      if (later["gradients"].contains(name)) {
        set_gradient(w, tensor(later["gradients"][name], w.sizes()));
      }
    }
    optimizer->step();
  }

  std::vector<DescribedParameter> parameters;
};

class Imported : public ::testing::TestWithParam<const char*> {};

TEST_P(Imported, GoesOnAsPyTorchDid) {
  const std::string file = GetParam();
  // Our weights in float64, so that only what the file holds in float32 is
  // rounded. PyTorch's own float32 run strays by the same order.
  Continued run(file, at::kDouble);
  const bool named = run.about["named"].get<bool>();
  const LoadReport report =
      import_torch_state(*run.optimizer, kFolder / (file + ".pt"),
                         named ? std::vector<std::string>{} : run.names);
  EXPECT_EQ(report.text(), "new: 'spare'\n");
  EXPECT_EQ(run.optimizer->updates().at("spare"), 0);
  // Weights, moments and gradients were rounded to float32 (2^-24 of values
  // below 4) in each of some ten steps; five Keller steps magnify by 485.
  const bool muon = run.about["optimizer"] == "Muon";
  const double bound = 10 * 4 * 0x1p-24 * (muon ? 485 : 16);
  ASSERT_FALSE(run.about["later"].empty());
  for (const Json& later : run.about["later"]) {
    run.step(later);
    for (const auto& item : later["w_float64"].items()) {
      const at::Tensor& w = run.weights.at(item.key());
      EXPECT_TRUE(testing::close(w, tensor(item.value(), w.sizes()), bound))
          << item.key();
    }
  }
  // Without the state the continuation differs.
  Continued fresh(file, at::kDouble);
  fresh.step(run.about["later"][0]);
  double most = 0;
  for (const auto& item : run.about["later"][0]["w_float64"].items()) {
    const at::Tensor& w = fresh.weights.at(item.key());
    most = std::max(most, (w.detach() - tensor(item.value(), w.sizes()))
                              .abs()
                              .max()
                              .item<double>());
  }
  EXPECT_GT(most, 10 * bound);
}

INSTANTIATE_TEST_SUITE_P(All, Imported,
                         ::testing::Values("adamw", "adamw-named", "muon",
                                           "muon-named"),
                         [](const auto& item) {
                           std::string name = item.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(ImportTorch, ConvertsTheBufferForAHeavyBall) {
  Continued ema("muon-named", at::kFloat);
  Continued ball("muon-named", at::kFloat, "muonw");
  (void)import_torch_state(*ema.optimizer, kFolder / "muon-named.pt");
  const LoadReport report =
      import_torch_state(*ball.optimizer, kFolder / "muon-named.pt");
  EXPECT_NE(report.text().find("momentum times "), std::string::npos)
      << report.text();
  const std::string name = ema.names.front();
  const double b = ema.about["parameters"][0]["options"].value("momentum", .95);
  EXPECT_TRUE(testing::close(
      ball.optimizer->state_tensor(name, "momentum"),
      ema.optimizer->state_tensor(name, "momentum").div(1 - b), 1e-5));
}

TEST(ImportTorch, RefusesWhatDoesNotFitAndChangesNothing) {
  const testing::TemporaryFolder folder;
  Continued run("adamw-named", at::kFloat);
  run.optimizer->save(folder / "before");
  const auto refused = [&](ErrorKind kind,
                           const std::vector<std::string>& words,
                           const std::filesystem::path& path,
                           const std::vector<std::string>& names = {}) {
    expect_error(kind, words, [&] {
      (void)import_torch_state(*run.optimizer, path, names);
    });
    run.optimizer->save(folder / "after");
    EXPECT_TRUE(core::read_file(folder / "before") ==
                core::read_file(folder / "after"));
  };
  core::write_file(folder / "text", "no zip");
  refused(ErrorKind::kCorruptData, {"text", "PyTorch"}, folder / "text");
  const std::string whole = core::read_file(kFolder / "adamw-named.pt");
  core::write_file(folder / "cut", whole.substr(0, whole.size() / 2));
  refused(ErrorKind::kCorruptData, {"cut", "PyTorch"}, folder / "cut");
  refused(ErrorKind::kIo, {"missing"}, folder / "missing");
  refused(ErrorKind::kInvalidArgument, {"has no name"}, kFolder / "adamw.pt");
  refused(ErrorKind::kInvalidArgument, {"'x'", "not in the routing plan"},
          kFolder / "adamw.pt", {"x", "y", "z", "u", "v"});
  // Muon's buffers are no Adam moments.
  refused(ErrorKind::kInvalidArgument, {"momentum_buffer", "'adamw'"},
          kFolder / "muon-named.pt");
}

}  // namespace
}  // namespace muonlab::optim
