// The files of a report, whatever it is about.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "muonlab/study/document_internal.h"
#include "muonlab/study/report.h"

namespace muonlab::study::detail {

/// As write_report() says.
ReportFiles write_files(const Document& document,
                        const std::vector<Figure>& drawings,
                        const std::string& csv, const std::string& json,
                        const std::filesystem::path& folder,
                        const std::filesystem::path& vega_bundle);

}  // namespace muonlab::study::detail
