#include "muonlab/train/summary.h"

#include "muonlab/core/error.h"
#include "muonlab/formats/json.h"

namespace muonlab::train {

namespace {

using formats::Json;
using formats::json_number;

constexpr int kSchema = 1;

Json optional_number(const std::optional<double>& value) {
  return value.has_value() ? json_number(*value) : Json();
}

std::optional<double> optional_from(const Json& json, const char* key) {
  const Json& value = json.at(key);
  if (value.is_null()) return std::nullopt;
  return formats::number_from_json(value, key);
}

}  // namespace

void write_summary(const std::filesystem::path& path, const RunSummary& s) {
  formats::write_json(path,
                      {{"schema", kSchema},
                       {"status", s.status},
                       {"cause", s.cause},
                       {"identity", s.identity},
                       {"dataset", s.dataset},
                       {"steps", s.steps},
                       {"tokens", s.tokens},
                       {"flops", json_number(s.flops)},
                       {"initial_loss", json_number(s.initial_loss)},
                       {"val_loss", optional_number(s.val_loss)},
                       {"bpb", optional_number(s.bits_per_byte)},
                       {"se", optional_number(s.standard_error)},
                       {"accuracy", optional_number(s.accuracy)},
                       {"split", s.split},
                       {"n_tokens", s.held_out_tokens},
                       {"train_split_tokens", s.train_tokens},
                       {"parameters", s.parameters},
                       {"hidden_parameters", s.hidden_parameters},
                       {"clipped_share", json_number(s.clipped_share)},
                       {"train_seconds", json_number(s.train_seconds)},
                       {"eval_seconds", json_number(s.eval_seconds)},
                       {"peak_memory_bytes", json_number(s.peak_memory_bytes)},
                       {"step_seconds",
                        {{"forward", json_number(s.step_seconds.forward)},
                         {"backward", json_number(s.step_seconds.backward)},
                         {"optimizer", json_number(s.step_seconds.optimizer)},
                         {"other", json_number(s.step_seconds.other)}}},
                       {"weights_sha256", s.weights_sha256}});
}

RunSummary read_summary(const std::filesystem::path& path) {
  const Json json = formats::read_json(path);
  const auto number = [&](const Json& object, const char* key) {
    return formats::number_from_json(object.at(key), key);
  };
  try {
    if (json.at("schema") != kSchema) {
      throw Error(ErrorKind::kUnsupported,
                  concat(path.string(), ": schema ", json.at("schema").dump(),
                         ", expected ", kSchema));
    }
    RunSummary s;
    s.status = json.at("status");
    s.cause = json.at("cause");
    s.identity = json.at("identity");
    s.dataset = json.at("dataset");
    s.steps = json.at("steps");
    s.tokens = json.at("tokens");
    s.flops = number(json, "flops");
    s.initial_loss = number(json, "initial_loss");
    s.val_loss = optional_from(json, "val_loss");
    s.bits_per_byte = optional_from(json, "bpb");
    s.standard_error = optional_from(json, "se");
    // Runs of before it was taken lack it.
    if (json.contains("accuracy")) s.accuracy = optional_from(json, "accuracy");
    s.split = json.at("split");
    s.held_out_tokens = json.at("n_tokens");
    s.train_tokens = json.at("train_split_tokens");
    s.parameters = json.at("parameters");
    s.hidden_parameters = json.at("hidden_parameters");
    s.clipped_share = number(json, "clipped_share");
    s.train_seconds = number(json, "train_seconds");
    s.eval_seconds = number(json, "eval_seconds");
    s.peak_memory_bytes = number(json, "peak_memory_bytes");
    const Json& step = json.at("step_seconds");
    s.step_seconds = {number(step, "forward"), number(step, "backward"),
                      number(step, "optimizer"), number(step, "other")};
    s.weights_sha256 = json.at("weights_sha256");
    return s;
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorKind::kCorruptData,
                concat(path.string(), ": not a run's summary: ", e.what()),
                "remove the run folder and run it again");
  }
}

}  // namespace muonlab::train
