// Bouncy Castle over timestamps: every reply answers its query, and its token is of the certificate it carries.
//
// Usage: Stamps DIRECTORY. It holds NAME.tsq with NAME.tsr beside it. Prints how many were judged; anything wrong is an
// exception and exit 1.
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import java.util.List;
import org.bouncycastle.asn1.ess.ESSCertIDv2;
import org.bouncycastle.asn1.ess.SigningCertificateV2;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.tsp.TimeStampRequest;
import org.bouncycastle.tsp.TimeStampResponse;

class Stamps {
    static void require(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException(what);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Security.insertProviderAt(new BouncyCastleProvider(), 1);
        List<Path> queries;
        try (var all = Files.list(Path.of(arguments[0]))) {
            queries = all.filter(file -> file.toString().endsWith(".tsq")).sorted().toList();
        }
        for (Path query : queries) {
            String name = query.toString().replaceAll("tsq$", "");
            var request = new TimeStampRequest(Files.readAllBytes(query));
            var response = new TimeStampResponse(Files.readAllBytes(Path.of(name + "tsr")));
            // Imprint, nonce, policy, status, and that the token is there.
            response.validate(request);
            var token = response.getTimeStampToken();
            var certificates = token.getCertificates().getMatches(token.getSID());
            require(certificates.size() == 1, name + " does not carry its signer");
            var signer = (X509CertificateHolder) certificates.iterator().next();
            // The signature, the one critical purpose, the signer named by digest.
            token.validate(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(signer));
            var attribute = token.getSignedAttributes().get(PKCSObjectIdentifiers.id_aa_signingCertificateV2);
            ESSCertIDv2 id = SigningCertificateV2.getInstance(attribute.getAttrValues().getObjectAt(0)).getCerts()[0];
            byte[] digest = java.security.MessageDigest.getInstance("SHA-256").digest(signer.getEncoded());
            require(java.util.Arrays.equals(id.getCertHash(), digest), name + " names another signer");
            require(token.getTimeStampInfo().getGenTimeAccuracy() != null, name + " says no accuracy");
        }
        System.out.println(queries.size() + " timestamps");
    }
}
