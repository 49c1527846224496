#include "muonlab/nn/language_model.h"
#include "muonlab/optim/optimizer.h"
#include "muonlab/train/evaluate.h"
#include "muonlab/train/open_dataset.h"
#include "muonlab/train/routing.h"
#include "muonlab/train/trainer.h"
#include "muonlab/train/windows.h"

namespace muonlab::train {

using formats::Json;
using formats::json_number;

Json dry_run(RunConfig config) {
  const data::Dataset dataset = open_dataset(config);
  check_windows(dataset.info(), split_from_name(config.eval_split),
                config.model.context, config.eval_windows);
  const nn::LanguageModel model(config.model);
  const optim::Plan plan = plan_for(model, config.optim);
  Json groups = Json::object();
  std::int64_t state = 0;
  for (const optim::Group& group : plan.groups) groups[group.name] = 0;
  for (const optim::Route& route : plan.routes) {
    Json& count = groups[plan.group_of(route).name];
    count = count.get<std::int64_t>() + route.parameter.numel();
    state += optim::state_bytes(plan, route);
  }
  const std::int64_t tokens =
      config.steps * config.batch * config.model.context;
  const double per_token = nn::flops_per_token(config.model);
  return {
      {"schema", 1},
      {"parameters", groups},
      {"optimizer_state_bytes", state},
      {"flops_per_token", json_number(per_token)},
      {"steps", config.steps},
      {"tokens", tokens},
      {"epochs",
       json_number(static_cast<double>(tokens) /
                   static_cast<double>(
                       dataset.info().split(data::Split::kTrain).n_tokens))},
      {"flops", json_number(per_token * static_cast<double>(tokens))},
      {"identity", run_identity(config, dataset.hash())},
      {"config", fields_of(config).to_json()}};
}

}  // namespace muonlab::train
