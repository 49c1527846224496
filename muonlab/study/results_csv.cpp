#include "muonlab/core/text.h"
#include "muonlab/study/report.h"

namespace muonlab::study {

namespace {

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string number(const std::optional<double>& value) {
  return value ? core::shortest(*value) : "";
}

std::vector<std::string> row_of(const Cell& cell) {
  std::vector<std::string> row = {quoted(cell.id),
                                  quoted(cell.arm),
                                  quoted(cell.phase),
                                  std::to_string(cell.seed),
                                  number(cell.hidden_lr),
                                  number(cell.auxiliary_lr),
                                  cell.extension ? "1" : "0",
                                  quoted(cell.state),
                                  number(cell.loss),
                                  number(cell.bits_per_byte),
                                  number(cell.standard_error),
                                  number(cell.initial_loss),
                                  number(cell.clipped_share),
                                  number(cell.wall_seconds),
                                  number(cell.peak_memory_bytes)};
  for (const auto part : {&StepTime::forward, &StepTime::backward,
                          &StepTime::optimizer, &StepTime::other}) {
    row.push_back(cell.step_time ? core::shortest((*cell.step_time).*part)
                                 : "");
  }
  std::vector<std::string> settings;
  for (const auto& [key, value] : cell.settings) {
    settings.push_back(key + "=" + core::shortest(value));
  }
  for (const std::string& text :
       {number(cell.accuracy), number(cell.flops), std::to_string(cell.tokens),
        number(cell.length), std::string(cell.audit ? "1" : "0"),
        quoted(core::join(settings, ";")), quoted(cell.cause)}) {
    row.push_back(text);
  }
  return row;
}

constexpr const char* kColumns =
    "id,arm,phase,seed,hidden_lr,auxiliary_lr,extension,state,loss,"
    "bits_per_byte,standard_error,initial_loss,clipped_share,wall_seconds,"
    "peak_memory_bytes,forward_seconds,backward_seconds,optimizer_seconds,"
    "other_seconds,accuracy,flops,tokens,length,audit,settings,cause\n";

}  // namespace

std::string results_csv(const Results& results) {
  std::string text = kColumns;
  for (const Cell& cell : results.cells) {
    text += core::join(row_of(cell), ",") + "\n";
  }
  return text;
}

std::string results_csv(const StudyResults& results) {
  std::string text = std::string("case,") + kColumns;
  for (const Results& one : results.cases) {
    for (const Cell& cell : one.cells) {
      text += quoted(one.setup.case_name) + "," +
              core::join(row_of(cell), ",") + "\n";
    }
  }
  return text;
}

}  // namespace muonlab::study
