#include "muonlab/train/routing_report.h"

#include <sstream>

#include "muonlab/nn/language_model.h"
#include "muonlab/train/described_model.h"
#include "muonlab/train/open_dataset.h"
#include "muonlab/train/routing.h"

namespace muonlab::train {

namespace {

optim::Plan plan_of(const std::filesystem::path& path,
                    const std::vector<std::string>& overrides) {
  if (describes_parameters(path)) return described_plan(path, overrides);
  RunConfig config = read_run_config(path, overrides, "study");
  const data::Dataset dataset = open_dataset(config);
  return plan_for(nn::LanguageModel(config.model), config.optim);
}

}  // namespace

RoutingReport routing_report(const std::filesystem::path& path,
                             const std::vector<std::string>& overrides) {
  optim::Plan plan = plan_of(path, overrides);
  std::ostringstream text;
  text << plan;
  return {.text = text.str(),
          .json = optim::plan_json(plan),
          .differences = [plan](const std::filesystem::path& expectation) {
            return optim::differences(plan, formats::read_json(expectation));
          }};
}

}  // namespace muonlab::train
