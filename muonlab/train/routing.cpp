#include "muonlab/train/routing.h"

#include <string>

namespace muonlab::train {

namespace {

void add_blocks(const nn::ModelConfig& model, const std::string& blocks,
                optim::RouteOptions& options) {
  if (blocks == "parts") return;  // as the modules declare them
  if (blocks == "whole") {
    options.overrides.push_back(
        {"*.qkv", Role::kMatrix, std::vector<RowBlock>{}});
    if (nn::is_gated(model.activation)) {
      options.overrides.push_back(
          {"*.gate_up", Role::kMatrix, std::vector<RowBlock>{}});
    }
    return;
  }
  std::vector<RowBlock> heads;
  for (const char* part : {"query", "key", "value"}) {
    const auto some = per_head(part, model.heads, model.width / model.heads);
    heads.insert(heads.end(), some.begin(), some.end());
  }
  options.overrides.push_back({"*.qkv", Role::kMatrix, heads});
}

}  // namespace

optim::RouteOptions route_options(const OptimConfig& config) {
  optim::RouteOptions options;
  options.hidden = hidden_options(config);
  options.auxiliary = auxiliary_options(config);
  for (const auto& [name, group] : config.groups) {
    options.groups.push_back(
        {name,
         group.pattern,
         {group.rule, group.lr, group.weight_decay, group.options.given()}});
  }
  return options;
}

optim::Plan plan_for(const nn::LanguageModel& model,
                     const OptimConfig& config) {
  optim::RouteOptions options = route_options(config);
  add_blocks(model.config(), config.blocks, options);
  return optim::route(model, options);
}

bool clips_logits(const optim::Plan& plan) {
  for (const optim::Group& group : plan.groups) {
    const auto* rule = std::get_if<optim::MatrixRule>(&group.options.update());
    if (rule != nullptr && rule->qk_clip > 0) return true;
  }
  return false;
}

void connect_attention(nn::LanguageModel& model, optim::Optimizer& optimizer) {
  model.watch_logits(true);
  const nn::ModelConfig& c = model.config();
  std::vector<optim::AttentionSource> sources;
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    const std::string name = concat("blocks.", layer, ".attention");
    sources.push_back(
        {.layout = {.name = name,
                    .query = name + ".qkv",
                    .query_row = 0,
                    .key = name + ".qkv",
                    .key_row = c.width,
                    .heads = c.heads,
                    .key_heads = c.heads,
                    .head_rows = c.width / c.heads},
         .largest = [&model, layer] { return model.largest_logits(layer); }});
  }
  optimizer.set_attention(std::move(sources));
}

}  // namespace muonlab::train
